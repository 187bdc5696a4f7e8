/** A program and its arguments. */
export type Command = [program: string, ...args: string[]];
