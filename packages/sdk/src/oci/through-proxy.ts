/**
 * A question's way through a proxy: to an encrypted place by a tunnel (RFC 9110, 9.3.6), of which the proxy sees the name alone; to another
 * by asking the proxy itself. What is shown to the proxy is shown to nobody else. Who controls the inputs: the proxy, every byte.
 */
import type { RequestOptions } from "node:https";
import { isIP, type Socket } from "node:net";
import { bare, type EnvProxy } from "./env-proxy.ts";
import { httpRequest, httpsRequest, nodeTls } from "./node-http.ts";

/** What the proxy answers in place of a tunnel. */
export class NoTunnel extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`it answers ${status}`);
    this.status = status;
  }
}

interface ProxyEnd {
  protocol: string;
  hostname: string;
  port: string | number;
  /** Whose certificate is expected; Node takes it from the header `host` else, which names another place here. */
  servername: string;
  headers: Record<string, string>;
}

function toProxy({ url }: EnvProxy): ProxyEnd {
  const { username, password } = url;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`, "utf8").toString("base64");
  const headers: Record<string, string> = username === "" ? {} : { "proxy-authorization": `Basic ${login}` };
  const hostname = bare(url.hostname);
  return {
    ...{ protocol: url.protocol, hostname, servername: isIP(hostname) === 0 ? hostname : "" },
    port: url.port || (url.protocol === "https:" ? 443 : 80),
    headers,
  };
}

const requestTo = ({ url }: EnvProxy): typeof httpsRequest => (url.protocol === "https:" ? httpsRequest : httpRequest);

/** Rejects with NoTunnel, or with what became of the connection. */
function tunnel(proxy: EnvProxy, to: URL, signal: AbortSignal, trusted: Pick<RequestOptions, "ca">): Promise<Socket> {
  const place = `${to.hostname}:${to.port || 443}`;
  const { headers, ...ends } = toProxy(proxy);
  return new Promise((resolve, reject) => {
    const request = requestTo(proxy)({
      ...{ ...ends, ...trusted, method: "CONNECT", path: place, headers: { host: place, ...headers }, agent: false, signal },
    });
    request.once("connect", ({ statusCode = 0 }, socket: Socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new NoTunnel(statusCode));
    });
    request.once("error", reject);
    request.end();
  });
}

type Secured = Pick<RequestOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;

/** How `to` is asked through the proxy; `signal` gives the tunnel up. */
export async function wayThrough(
  proxy: EnvProxy,
  to: URL,
  secured: Secured,
  signal: AbortSignal,
): Promise<{ request: typeof httpsRequest; options: RequestOptions; headers: Record<string, string> }> {
  if (to.protocol === "http:") {
    const { headers, ...ends } = toProxy(proxy);
    const path = `${to.origin}${to.pathname}${to.search}`;
    return { request: requestTo(proxy), options: { ...ends, path }, headers: { host: to.host, ...headers } };
  }
  const socket = await tunnel(proxy, to, signal, secured.ca === undefined ? {} : { ca: secured.ca });
  const host = bare(to.hostname);
  const createConnection = (): Socket => nodeTls().connect({ ...secured, socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
  return { request: httpsRequest, options: { createConnection }, headers: {} };
}
