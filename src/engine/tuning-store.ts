/** Where tuned plans outlive a process: a small text for each adapter. Platforms implement it. */
export interface TuningStore {
  /** What was written under `name`, or null where nothing was. */
  read(name: string): Promise<string | null>;
  /** Replaces it whole: a reader sees the text before or after, never a part. */
  write(name: string, text: string): Promise<void>;
}
