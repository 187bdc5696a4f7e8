/**
 * Images from a registry by the OCI distribution protocol (opencontainers/distribution-spec 1.1). What goes wrong in passing is tried again
 * (patience.ts), a blob goes on where it broke off. Who controls the inputs: the registry, every byte.
 */
import { Readable } from "node:stream";
import type { Timers } from "@xenoservers/protocol/link";
import { Access } from "./access.ts";
import { TooSlow, isBusy, type Answer } from "./answer.ts";
import { WORDS_BYTES_MAX, isPage, wordsIn } from "./answer-words.ts";
import { NoWay, Unreachable, Untrusted, ask } from "./asking.ts";
import { BlobDownload } from "./blob-download.ts";
import { isDigest } from "./hash-like.ts";
import { isPackedText, unpacked } from "./packed-answer.ts";
import { Mishap, Patience, type OnWait } from "./patience.ts";
import type { PullSource } from "./pull-sources.ts";
import { registryUrl, type Reference } from "./reference.ts";
import { OciError, checkDigest, type Descriptor, type OciSource, type OnBytes } from "./source.ts";

const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Of one question, one after the other: the first may be of a token that has ended, the second of one for something else. */
const REFUSALS_MAX = 3;

/** What some say to anybody of what is for somebody. */
const HIDING: ReadonlySet<number> = new Set([403, 404]);

export class Registry implements OciSource {
  readonly name: string;
  readonly #isInsecure: boolean;
  readonly #reference: Reference;
  readonly #access: Access;
  readonly #timers: Timers;
  readonly #onWait: OnWait;
  readonly #mishapsMax: number | undefined;
  #origin: string | null = null;
  /** It answered before: that nobody listens is a restart, not a wrong name. */
  #answered = false;

  /** `mishapsMax`: how often it may fail in passing, where the image lies elsewhere too. */
  constructor(source: PullSource, timers: Timers, onWait: OnWait, mishapsMax?: number) {
    const { reference } = source;
    this.#reference = reference;
    this.#isInsecure = source.isInsecure;
    this.#timers = timers;
    this.#onWait = onWait;
    this.#mishapsMax = mishapsMax;
    this.#access = new Access(source, timers);
    this.name = `${reference.registry}/${reference.repository}`;
  }

  /** With encryption where it has any: one of this machine, and one that settings call insecure, may have none. */
  async #originOf(): Promise<string> {
    const usual = registryUrl(this.#reference.registry);
    const secure = usual.replace(/^http:/, "https:");
    if (!this.#isInsecure && usual === secure) return usual;
    try {
      const answer = await ask(new URL(`${secure}/v2/`), { headers: {} }, this.#access.asker);
      answer.drop();
      return secure;
    } catch (error) {
      if (error instanceof Untrusted) throw error;
      if (error instanceof NoWay || error instanceof Mishap) return secure.replace(/^https:/, "http:");
      throw error;
    }
  }

  /** The answer of whoever lets us in. Throws Mishap where another try may go well. */
  async #ask(path: string, headers: Record<string, string>): Promise<Answer> {
    this.#origin ??= await this.#originOf();
    const url = new URL(`${this.#origin}/v2/${this.#reference.repository}/${path}`);
    for (let refusals = 0; ; refusals++) {
      const question = { headers: { ...headers, ...this.#access.headers } };
      const answer = await ask(url, question, this.#access.asker).catch((error: unknown) => {
        if (error instanceof Unreachable && !this.#answered)
          throw new OciError(`${error.message}; check its name, and your connection`, { cause: error });
        throw error;
      });
      this.#answered = true;
      // another place may not ask for the registry's password; the way to it may have been good for a moment only
      if (answer.at.origin !== url.origin && answer.status >= 400 && answer.status !== 416) {
        answer.throwIfBusy();
        answer.drop();
        throw new Mishap(`${answer.at.host}, where ${url.host} leads, answers ${answer.status}`);
      }
      const asking = await this.#asksToLogIn(answer);
      if (!asking) return answer;
      if (refusals === REFUSALS_MAX) {
        asking.drop();
        throw await this.#access.denied();
      }
      await this.#access.renew(asking);
    }
  }

  /**
   * The answer that says how to log in; null where what was asked for came, or is not there. Some say so at their top alone, where engines
   * ask first, and elsewhere that nothing is there for somebody unknown, or nothing.
   */
  async #asksToLogIn(answer: Answer): Promise<Answer | null> {
    const isRefusal = answer.status === 401;
    if (isRefusal && answer.headers["www-authenticate"] !== undefined) return answer;
    const isHidden = HIDING.has(answer.status) && !this.#access.isShown;
    if (!isRefusal && !isHidden) return null;
    const top = await ask(new URL(`${this.#origin}/v2/`), { headers: {} }, this.#access.asker).catch(() => null);
    // another place may not ask for the registry's password
    if (top?.status === 401 && top.at.origin === this.#origin && top.headers["www-authenticate"] !== undefined) {
      answer.drop();
      return top;
    }
    top?.drop();
    return isRefusal ? answer : null;
  }

  /** Throws what is wrong with an answer: Mishap where another try may go well, else OciError in the registry's own words. */
  async #check(answer: Answer, what: string): Promise<void> {
    const { status } = answer;
    if (status === 200 || status === 206) return;
    const words = wordsIn(await answer.whole(WORDS_BYTES_MAX).catch((error: unknown) => wordless(error, status)));
    answer.throwIfBusy(words);
    if (status === 403) throw await this.#access.denied(words);
    if (status === 404) throw new OciError(`${this.name} has no ${what}`);
    throw new OciError(`the registry ${this.#reference.registry} answers ${status} for ${what}${words}`);
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    const wanted = version ?? this.#reference.version;
    const patience = new Patience(this.#timers, this.#onWait, this.#mishapsMax);
    for (;;) {
      try {
        const answer = await this.#ask(`manifests/${wanted}`, { accept: MANIFEST_TYPES.join(", ") });
        await this.#check(answer, wanted);
        const bytes = await this.#text(answer);
        if (isDigest(wanted)) checkDigest(bytes, wanted, this.name);
        return { mediaType: (answer.headers["content-type"] ?? "").replace(/;.*/s, "").trim(), bytes };
      } catch (error) {
        await patience.after(error, `the manifest of ${this.name} cannot be had`);
      }
    }
  }

  /** The manifest in an answer. Throws OciError where it can be none. */
  async #text(answer: Answer): Promise<Buffer> {
    const tooLarge = new OciError(`the manifest of ${this.name} is larger than any is`);
    let bytes = await answer.whole(MANIFEST_BYTES_MAX);
    if (bytes === null) throw tooLarge;
    if (isPackedText(answer, bytes)) {
      const parts: Buffer[] = [];
      let size = 0;
      for await (const part of unpacked(Readable.from([bytes]), answer.at.host)) {
        size += part.length;
        if (size > MANIFEST_BYTES_MAX) throw tooLarge;
        parts.push(part);
      }
      bytes = Buffer.concat(parts);
    }
    if (isPage(bytes))
      throw new OciError(
        `${answer.at.host} gives a page for people where the manifest of ${this.name} should be; check its name, and your connection`,
      );
    return bytes;
  }

  async save(blob: Descriptor, file: string, onBytes: OnBytes): Promise<void> {
    const { digest } = blob;
    const download = new BlobDownload(blob, file, onBytes);
    await download.begin();
    const patience = new Patience(this.#timers, this.#onWait, this.#mishapsMax);
    const had = { most: 0 };
    while (!(await download.isWhole())) {
      try {
        const answer = await this.#ask(`blobs/${digest}`, download.headers);
        // who is asked for a piece, and knows none, may have the whole
        if (download.isPiece && answer.status >= 400 && !isBusy(answer.status)) download.beginAnew(answer);
        await this.#check(answer, digest);
        await download.take(answer);
      } catch (error) {
        if (download.bytes > had.most && !(error instanceof TooSlow)) patience.progress();
        had.most = Math.max(had.most, download.bytes);
        await patience.after(error, `a layer of ${this.name} cannot be had`);
      }
    }
  }
}

/** What is busy may break off in the middle of saying so. */
function wordless(error: unknown, status: number): null {
  if (isBusy(status)) return null;
  throw error;
}
