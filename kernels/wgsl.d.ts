/** WGSL files are bundled as text; `#include "include/name.wgsl"` lines are resolved at build time (see wgsl-plugin.mjs). */
declare module '*.wgsl' {
  const source: string;
  export default source;
}
