/** How large a terminal is. */
export interface WindowSize {
  columns: number;
  rows: number;
}
