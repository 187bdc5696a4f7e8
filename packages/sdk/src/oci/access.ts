/**
 * What a registry is shown so that it lets somebody in: a password, or a token of the place that it names (distribution's
 * docs/spec/auth: token, oauth). Tokens end when they like, also in the middle of an image: each refusal is answered with a new one, and
 * only one refusal after another is taken for the last word. Who controls the inputs: the registry (challenges), the place that gives
 * tokens.
 */
import path from "node:path";
import type { Timers } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import type { Answer } from "./answer.ts";
import { isPage, wordsIn } from "./answer-words.ts";
import { ask, type Asker, type Question } from "./asking.ts";
import { challengesIn, type Challenge } from "./challenge.ts";
import type { Login } from "./login.ts";
import { loginFor, type FoundLogin } from "./logins.ts";
import { ownCertificate } from "./own-certificate.ts";
import { certificateFolders, certificateName, certificatesFor, type Certificates } from "./registry-certificates.ts";
import type { PullSource } from "./pull-sources.ts";
import { DEFAULT_REGISTRY, registryUrl, type Reference } from "./reference.ts";
import { OciError } from "./source.ts";

/** Registries name it one way or the other; how long it holds is not asked: the registry says when it does not. */
const zText = z.nullish(z.string().check(z.regex(/^[\x21-\x7e]*$/)));
const zToken = z.object({ token: zText, access_token: zText });
/** `refused`: what is said of it, in brackets; `broken`: what is given in its place. */
type Given = { token: string } | { refused: string } | { broken: string };
const DENIED: ReadonlySet<number> = new Set([400, 401, 403]);
const ANSWER_BYTES_MAX = 1024 * 1024;
/** For the log of who gives tokens. */
const CLIENT = "xenoservers";

const basic = ({ user, password }: Extract<Login, { kind: "password" }>): string =>
  `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}`;

export class Access {
  readonly #source: PullSource;
  readonly #reference: Reference;
  readonly #asker: Asker;
  #certificates: Promise<Certificates | null> | null = null;
  #own: ReturnType<typeof ownCertificate> | null = null;
  #found: Promise<FoundLogin> | null = null;
  #authorization: string | null = null;

  constructor(source: PullSource, timers: Timers) {
    const { reference, isInsecure } = source;
    this.#source = source;
    this.#reference = reference;
    const isPlain = registryUrl(reference.registry).startsWith("http:");
    const isItself = (url: URL): boolean => url.host === new URL(registryUrl(reference.registry)).host;
    this.#asker = {
      timers,
      // plain http is for this machine's own registries and those that settings name, and nobody else leads there
      mayGo: (url) => url.protocol === "https:" || (isPlain && registryUrl(url.host) === url.origin) || (isInsecure && isItself(url)),
      isInsecure: (url) => isInsecure && isItself(url),
      secured: async (url) => {
        const kept = await (this.#certificates ??= certificatesFor(reference.registry));
        if (!kept) return undefined;
        return { ca: kept.ca, ...(isItself(url) ? await (this.#own ??= ownCertificate(url.origin, kept, this.#asker)) : {}) };
      },
      certificates: path.join(certificateFolders()[0] ?? "", certificateName(reference.registry)),
    };
  }

  get asker(): Asker {
    return this.#asker;
  }

  /** Whether the registry sees who asks. */
  get isShown(): boolean {
    return this.#authorization !== null;
  }

  get headers(): Record<string, string> {
    return this.#authorization === null ? {} : { authorization: this.#authorization };
  }

  #login(): Promise<FoundLogin> {
    return (this.#found ??= loginFor(this.#source, this.#asker.timers));
  }

  /** `words`: what the registry says of it. */
  async denied(words = ""): Promise<OciError> {
    const { registry, repository } = this.#reference;
    const { login, own, troubles } = await this.#login();
    const isDefault = registry === DEFAULT_REGISTRY;
    const [docker, podman] = [
      isDefault ? "docker login" : `docker login ${registry}`,
      `podman login ${isDefault ? "docker.io" : registry}`,
    ];
    const advice = own
      ? "XENO_REGISTRY_USER and XENO_REGISTRY_PASSWORD do not open it"
      : login
        ? `the login that is here does not open it: log in anew with \`${docker}\``
        : `log in with \`${docker}\` or \`${podman}\`, or set XENO_REGISTRY=${registry}, XENO_REGISTRY_USER and XENO_REGISTRY_PASSWORD`;
    const besides = troubles.map((trouble) => `; ${trouble}`).join("");
    return new OciError(`${registry}/${repository} is not there, or not for you${words}: ${advice}${besides}`);
  }

  /** Answers a refusal. Throws OciError where nothing more can be shown, Mishap where another try may go well. */
  async renew(refusal: Answer): Promise<void> {
    refusal.drop();
    const challenges = challengesIn(refusal.headers["www-authenticate"] ?? "");
    const bearer = challenges.find(({ scheme, params }) => scheme === "bearer" && params["realm"] !== undefined);
    if (challenges.length === 0) throw await this.denied();
    const { login, own } = await this.#login();
    const given: Given = bearer ? await this.#token(bearer, login, own) : { refused: "" };
    if ("token" in given) return void (this.#authorization = `Bearer ${given.token}`);
    const takesPassword = challenges.some(({ scheme }) => scheme === "basic");
    if (!bearer && !takesPassword) throw new OciError(`${this.#reference.registry} asks for a way to log in that is not known here`);
    if (!takesPassword || login?.kind !== "password") {
      if ("broken" in given) throw new OciError(given.broken);
      throw await this.denied(given.refused);
    }
    const shown = basic(login);
    // it was shown, and is not liked
    if (shown === this.#authorization) throw await this.denied();
    this.#authorization = shown;
  }

  async #token({ params }: Challenge, login: Login | null, own: FoundLogin["own"]): Promise<Given> {
    const { registry, repository } = this.#reference;
    const { realm = "", service, scope } = params;
    if (!URL.canParse(realm)) throw new OciError(`${registry} names no place to log in`);
    const url = new URL(realm);
    if (!this.#asker.mayGo(url)) throw new OciError(`${registry} asks to log in without encryption`);
    const asks = new URLSearchParams({ ...(service === undefined ? {} : { service }), scope: scope || `repository:${repository}:pull` });
    // elsewhere it may be that anybody is given a token
    const isForIt = own === null || own.mayBeShownTo(url.host);
    if (!isForIt) own.notShown(url.host);
    const answer = await ask(url, questionOf(url, asks, isForIt ? login : null), this.#asker);
    answer.throwIfBusy();
    const bytes = await answer.whole(ANSWER_BYTES_MAX);
    const broken = (what: string): Given => ({ broken: `${answer.at.host}, where ${registry} has people log in, gives no token: ${what}` });
    if (DENIED.has(answer.status)) return { refused: wordsIn(bytes) };
    if (answer.status !== 200) return broken(`it answers ${answer.status}${wordsIn(bytes)}`);
    if (bytes === null) return broken("what it answers has no end");
    const token = tokenIn(bytes);
    return token === null ? broken(isPage(bytes) ? "it gives a page for people" : "there is none in what it answers") : { token };
  }
}

/** Null where there is none that a header can hold. */
function tokenIn(bytes: Buffer): string | null {
  try {
    const { token, access_token: accessToken } = zToken.parse(JSON.parse(bytes.toString("utf8")));
    return token || accessToken || null;
  } catch {
    return null;
  }
}

/** With what is asked for in the address, which is changed; or, where a token is given for a token, in a form. */
function questionOf(url: URL, asks: URLSearchParams, login: Login | null): Question {
  if (login?.kind === "token") {
    const form = new URLSearchParams(asks);
    form.set("grant_type", "refresh_token");
    form.set("client_id", CLIENT);
    form.set("refresh_token", login.token);
    return { headers: {}, form };
  }
  for (const [name, value] of asks) url.searchParams.set(name, value);
  return { headers: login ? { authorization: basic(login) } : {} };
}
