/**
 * A broker on paper behind HTTP: sessions, offers, accounts, and answers to documents with its promise; no books, no links. It serves what a test puts in
 * its hands, an honest purchase order or another.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  API,
  leafHashOf,
  parseDocument,
  parseDocumentOf,
  refuse,
  refusalBody,
  signPromise,
  type AnyDocument,
  type OfferView,
} from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { PaperMarket } from "@xenoservers/testkit";

type Reply = readonly [status: number, body: unknown];

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString());
}

export class PaperBroker {
  readonly market: PaperMarket;
  readonly #server: Server;
  url = "";
  /** Every document that was taken, logins apart. */
  readonly filed: AnyDocument[] = [];
  /** Who asks is the key of the session; null: nobody known. */
  offers: (caller: string | null) => OfferView[] = () => [];
  /** Other reads, by path. */
  reads: Record<string, (query: URLSearchParams) => unknown> = {};
  answer: (document: AnyDocument) => LinkAnswer = () => ({ ok: true, answer: {} });

  private constructor(market: PaperMarket) {
    this.market = market;
    this.#server = createServer((request, response) => {
      void this.#reply(request).then(([status, body]) =>
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)),
      );
    });
  }

  static async start(market: PaperMarket): Promise<PaperBroker> {
    const broker = new PaperBroker(market);
    await new Promise<void>((resolve) => broker.#server.listen(0, "127.0.0.1", resolve));
    broker.url = `http://127.0.0.1:${(broker.#server.address() as AddressInfo).port}`;
    return broker;
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "", this.url);
    const caller = request.headers.authorization?.replace("Bearer ", "") ?? null;
    const body = await bodyOf(request);
    if (path === API.market.path) return [200, this.market.info];
    if (path === API.challenge.path) return [200, { challenge: "c".repeat(64) }];
    if (path === API.token.path) return this.#login(body["login"]);
    if (path === API.offers.path) return [200, this.#found(caller)];
    if (path === API.submit.path) return this.#submit(body["envelope"]);
    const read = this.reads[path];
    return read ? [200, read(query)] : [404, refusalBody(refuse("not_found"))];
  }

  /** A token is the key that it was given to. */
  #login(untrusted: unknown): Reply {
    const login = parseDocumentOf(nodeCrypto, "login", untrusted);
    if (!login.ok) return [401, refusalBody(login)];
    const { keyid, payload } = login.document;
    return [200, { token: keyid, party: payload.party, expiresAt: Date.now() + 3_600_000 }];
  }

  #found(caller: string | null) {
    const offers = this.offers(caller);
    const excluded = offers.length === 0 ? { "not-allowed": 1 } : {};
    return {
      offers,
      resources: { vcpu: 1, memoryMib: 512, diskMib: 256 },
      excluded,
      explanation: offers.length === 0 ? "not-allowed excluded 1" : "",
    };
  }

  #submit(untrusted: unknown): Reply {
    const parsed = parseDocument(nodeCrypto, untrusted);
    if (!parsed.ok) return [400, refusalBody(parsed)];
    this.filed.push(parsed.document);
    const answer = this.answer(parsed.document);
    if (!answer.ok) return [409, refusalBody(answer)];
    const [at, salt] = [Date.now(), "5".repeat(64)];
    const { epoch, size } = this.market.info.log;
    const leaf = leafHashOf(nodeCrypto, parsed.document, at, salt);
    const promise = signPromise(this.market.receipts, { origin: this.market.origin, epoch, size, leaf, mergeBy: at + 1_000 });
    return [200, { id: parsed.document.id, at, salt, promise, ...answer.answer }];
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
