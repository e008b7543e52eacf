/** The report's style sheet: light and dark by the reader's setting, light on paper. */

/** Colours as CSS properties, also of the plots (experiment/plot-parts.ts). */
export const LIGHT = `
  --page: #f6f7f9; --card: #ffffff; --ink: #15202b; --soft: #566371; --faint: #8a96a3; --line: #e1e5ea; --grid: #eceff2;
  --accent: #1f6fd1; --accent-wash: #e6f0fb; --warn: #8a5200; --warn-wash: #fff4df; --warn-line: #f0d39a;
  --series-1: #1f6fd1; --series-2: #d0542c; --series-3: #138a6b; --series-4: #8a55c4; --series-5: #b08000; --series-6: #c23b78;`;
export const DARK = `
  --page: #10151b; --card: #182029; --ink: #e7edf3; --soft: #a3b0bd; --faint: #7a8794; --line: #2b3641; --grid: #232d37;
  --accent: #63a7f5; --accent-wash: #1a2c42; --warn: #f2c879; --warn-wash: #2e2514; --warn-line: #5d4a20;
  --series-1: #63a7f5; --series-2: #f08a63; --series-3: #4cc3a1; --series-4: #bb92ea; --series-5: #dcb345; --series-6: #ef7fae;`;

export const REPORT_STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { ${DARK} } }
:root[data-theme=light] { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1216px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 0 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 0 0 8px; color: var(--soft); font-weight: 600; }
p { margin: 0 0 10px; max-width: 80ch; }
.lead, .hint { color: var(--soft); }
.hint { font-size: 13.5px; max-width: 120ch; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile dt { color: var(--soft); font-size: 13px; }
.tile dd { margin: 0; }
.tile .value { font-size: 27px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile .under { color: var(--soft); font-size: 13px; }
.tiles.first .tile:first-child { background: var(--accent-wash); border-color: transparent; }
dl { margin: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 10px 24px; margin-top: 14px; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.banner { border: 1px solid var(--warn-line); background: var(--warn-wash); color: var(--warn); border-radius: 8px; padding: 9px 14px; margin: 14px 0 0; max-width: none; }
.banner + .banner { margin-top: 8px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 22px 26px; margin-top: 14px; }
.chart { min-width: 0; }
.plot { min-height: 240px; }
.plot .uplot { font-family: inherit; }
.plot .u-legend { font-size: 13px; color: var(--soft); text-align: left; }
.plot .u-legend .u-value { font-variant-numeric: tabular-nums; min-width: 4.5em; display: inline-block; color: var(--ink); }
.scroll { overflow-x: auto; margin-top: 12px; }
.scroll table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
caption { text-align: left; color: var(--soft); font-size: 13.5px; padding-bottom: 8px; }
.scroll :is(th, td) { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
.scroll thead th { color: var(--soft); font-size: 13px; font-weight: 600; vertical-align: bottom; }
.scroll :is(th, td):first-child { text-align: left; padding-left: 0; }
.scroll :is(th, td):last-child { padding-right: 0; }
.scroll tbody th { font-weight: 500; }
.scroll td.reason { text-align: left; color: var(--soft); white-space: normal; font-style: italic; }
.scroll tr.mean > * { font-weight: 650; border-top: 2px solid var(--faint); border-bottom: 0; }
.scroll .forest { width: 176px; text-align: center; }
.scroll td.forest { padding: 0 8px; }
.forest svg { display: block; width: 160px; height: 22px; }
.rocs { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 18px 16px; margin: 14px 0 0; }
.roc { margin: 0; break-inside: avoid; }
.roc figcaption { font-size: 13px; line-height: 1.3; min-height: calc(2.6em + 4px); display: flex; justify-content: space-between; gap: 8px; align-items: flex-end; padding-bottom: 4px; }
.roc figcaption b { font-variant-numeric: tabular-nums; }
.roc svg { width: 100%; height: auto; display: block; }
svg .frame { fill: none; stroke: var(--line); }
svg .chance { stroke: var(--faint); stroke-dasharray: 3 3; fill: none; }
svg .curve { stroke: var(--series-1); stroke-width: 2; fill: none; stroke-linejoin: round; }
svg .under-curve { fill: var(--accent-wash); stroke: none; }
svg .mark { fill: var(--series-2); stroke: var(--card); stroke-width: 1.5; }
svg .whisker { stroke: var(--series-1); stroke-width: 2; }
svg .point { fill: var(--series-1); }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.slices { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 24px; margin-top: 14px; }
.slice { margin: 0; break-inside: avoid; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
.pair img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: 6px; image-rendering: pixelated; display: block; }
.pair span { font-size: 13px; color: var(--soft); }
.slice figcaption { margin-top: 8px; font-size: 13.5px; }
ul { margin: 8px 0 0; padding-left: 20px; max-width: 100ch; }
li { margin: 3px 0; overflow-wrap: anywhere; }
pre { background: var(--page); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; overflow-x: auto; font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; margin: 10px 0 0; }
summary { cursor: pointer; font-weight: 600; }
.mark-of { display: inline-block; font-size: 12px; font-weight: 650; border-radius: 4px; padding: 0 6px; margin-right: 6px; background: var(--accent-wash); color: var(--accent); }
footer { color: var(--soft); font-size: 13px; margin-top: 20px; }
@media print {
  :root, :root:not([data-theme=light]) { color-scheme: light; ${LIGHT} --page: #fff; }
  body { font-size: 11px; }
  main { max-width: none; padding: 0; }
  section, .tile { break-inside: avoid; border-color: #ccc; }
  section.long { break-inside: auto; }
  thead { display: table-header-group; }
  tr, .chart { break-inside: avoid; }
  .rocs { grid-template-columns: repeat(6, 1fr); }
  .charts, .slices { grid-template-columns: 1fr 1fr; }
  pre { white-space: pre-wrap; }
  .scroll :is(th, td) { padding: 3px 5px; }
  .u-legend .u-value { display: none; }
}
`;

/** Beside REPORT_STYLE, for the report of an evaluation. */
export const EVALUATION_STYLE = `
.scroll small { display: block; color: var(--soft); font-size: 11.5px; font-weight: 400; }
.scroll th[scope=rowgroup] { vertical-align: top; text-align: left; white-space: normal; font-weight: 500; padding-left: 0; }
.scroll :is(th, td) { padding: 4px 6px; }
.scroll td:first-child { text-align: right; padding-left: 6px; }
.scroll thead th { white-space: normal; }
.scroll tbody th[scope=row] { white-space: normal; min-width: 9em; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
`;
