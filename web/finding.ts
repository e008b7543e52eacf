/** What a question asks about. */
import { LABELS } from '../src/data/labels.ts';

/** "Is there a pleural effusion?" → "Pleural effusion", as the labels are written in the prompts that the model learnt. */
export function findingOf(text: string): string {
  const bare = text.trim().replace(/[?.!\s]+$/, '').replace(/^(is|are) there\s+((an?|any|the|signs? of|evidence of)\s+)*/i, '').replace(/\s+(is|are) (present|visible|seen)$/i, '').trim();
  const label = LABELS.find((name) => name.toLowerCase() === bare.toLowerCase());
  return label ?? (bare && bare[0]!.toUpperCase() + bare.slice(1));
}
