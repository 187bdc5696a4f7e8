/** What is told to whoever waits for an image. */
export interface ImageWatch {
  /** The layer under way (1 for the first), how many there are, what of it is here, and how large it is. */
  onLayer(at: { layer: number; of: number; bytes: number; size: number }): void;
  /** Why nothing comes, and how long for. */
  onWait(why: string, ms: number): void;
  /** Why the next place is asked that settings name. */
  onNext(why: string): void;
}
