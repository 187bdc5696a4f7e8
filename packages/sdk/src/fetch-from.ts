/** What anyone may read of a market, from whichever of its addresses answers. */
import { Addresses } from "@xenoservers/protocol";

/** `url`: one or several addresses of the market. */
export const fetchFrom = (url: string, path: string, init: RequestInit = {}): Promise<Response> =>
  new Addresses(url).first((address) => fetch(new URL(path, address), init));
