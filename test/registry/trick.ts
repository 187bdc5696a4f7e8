/** What a trick is, and words to say one with. */
import { LAYER_BYTES, type Asked, type Proxy, type Trick } from "./proxy.ts";

export interface Came {
  /** What was waited, in ms. */
  waits: number[];
  proxy: Proxy;
  layers: readonly string[];
}

export interface TrickRow {
  name: string;
  trick(proxy: Proxy): Trick;
  /** The refusal, in words; without one, the whole image. */
  refused?: RegExp;
  /** With what login; without one, as anybody. */
  login?: { auth: string } | { identitytoken: string };
  also?(came: Came): void;
}

export const HALF = LAYER_BYTES / 2;
export const always = (trick: Trick) => (): Trick => trick;
export const of =
  (kind: Asked["kind"], trick: Trick): Trick =>
  (asked) =>
    asked.kind === kind ? trick(asked) : asked.pass();
/** The first questions for each path, so many of them. */
export const first =
  (times: number, trick: Trick): Trick =>
  (asked) =>
    asked.times <= times ? trick(asked) : asked.pass();
/** Of large blobs; the configuration is small. */
export const layer = (trick: Trick): Trick => of("blob", (asked) => (asked.bytes.length === LAYER_BYTES ? trick(asked) : asked.pass()));

export const SECRET = "se:cret";
export const CARL = { auth: Buffer.from(`carl:${SECRET}`).toString("base64") };
export const shown = `Basic ${CARL.auth}`;
export const bearer = ({ host }: Proxy, more = ""): string =>
  `Bearer realm="http://${host}/token",service="test",scope="repository:box:pull"${more}`;
