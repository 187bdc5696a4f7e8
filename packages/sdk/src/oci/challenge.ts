/**
 * What a registry asks for where it does not let somebody in (RFC 9110, 11.6.1): one header may hold several challenges, and each several
 * parameters, with commas between both. Who controls the inputs: the registry, every byte; Node bounds a header's length.
 */
export interface Challenge {
  /** In small letters. */
  scheme: string;
  params: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
const VALUE = `"(?<quoted>(?:[^"\\\\]|\\\\.)*)"|(?<plain>${TOKEN})`;
/** A scheme with credentials in the old form, which no registry uses; the name of a scheme; or a parameter of the last one. */
const PIECE = new RegExp(`[\\s,]*(?:(?<old>${TOKEN})\\s+[\\w.~+/-]+=*\\s*(?=,|$)|(?<name>${TOKEN})(?:\\s*=\\s*(?:${VALUE}))?)`, "y");

/** In the header's order; what cannot be read ends it. */
export function challengesIn(header: string): Challenge[] {
  const found: { scheme: string; params: Record<string, string> }[] = [];
  const pieces = new RegExp(PIECE);
  for (let piece = pieces.exec(header); piece !== null; piece = pieces.exec(header)) {
    const { old, name = "", quoted, plain } = piece.groups ?? {};
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    if (value === undefined) found.push({ scheme: (old ?? name).toLowerCase(), params: {} });
    else {
      const last = found.at(-1);
      if (last) last.params[name.toLowerCase()] ??= value;
    }
  }
  return found;
}
