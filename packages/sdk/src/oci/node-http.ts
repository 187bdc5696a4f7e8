/**
 * Node's ways to ask over HTTP, for whoever does ask a registry. An `import` of these modules makes a name of everything in them, and so
 * loads what `fetch` is made of: 45 ms of a processor for each command that might pull an image and does not.
 */
import type * as http from "node:http";
import type * as https from "node:https";
import type * as tls from "node:tls";
import { builtin } from "@xenoservers/protocol/builtin";

export const httpRequest: typeof http.request = (...args: unknown[]) => Reflect.apply(builtin("node:http").request, null, args);

export const httpsRequest: typeof https.request = (...args: unknown[]) => Reflect.apply(builtin("node:https").request, null, args);

export const nodeTls = (): typeof tls => builtin("node:tls");
