/**
 * Where Prometheus finds what a program counts: /metrics on a port of its own, and nothing else. Who controls the inputs: whoever reaches
 * that port, which is this machine's alone unless its owner says otherwise; nothing of a request is read but its method and path.
 */
import { createServer, type Server } from "node:http";

export interface MetricsPlace {
  host: string;
  /** 0: any free one. */
  port: number;
}

export interface MetricsServer {
  url: string;
  close(): Promise<void>;
}

/** What is served: a registry as prom-client has it. */
interface Registry {
  readonly contentType: string;
  metrics(): Promise<string>;
}

function urlOf(server: Server): string {
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("a server that listens has an address");
  return `http://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}/metrics`;
}

export async function serveMetrics(registry: Registry, { host, port }: MetricsPlace): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") return response.writeHead(404).end("metrics are at /metrics\n");
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) =>
    server
      .once("error", (cause: NodeJS.ErrnoException) => {
        const at = `no metrics can be had at ${host}:${port}`;
        // whoever reports it adds nothing of the program's other port to these words
        if (cause.code === "EADDRINUSE") reject(new Error(`${at}: another program listens there: choose another --metrics-port`));
        else reject(new Error(`${at}: ${cause.message}`, { cause }));
      })
      .listen({ host, port }, resolve),
  );
  return {
    url: urlOf(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
