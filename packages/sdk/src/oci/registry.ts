/**
 * Images from a registry by the OCI distribution protocol (opencontainers/distribution-spec 1.1), with token authentication as registries
 * do it (distribution/docs/spec/auth/token). Who controls the inputs: the registry, every byte.
 */
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { registryUrl, type Reference } from "./reference.ts";
import { OciError, checkDigest, type OciSource } from "./source.ts";

const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
] as const;
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
const BLOB_TIMEOUT_MS = 30 * 60_000;

/** `docker login`'s and `podman login`'s files; null where there is nothing for this registry. */
/** What of a file of `docker login` is read. */
const zLogins = z.object({ auths: z.record(z.string(), z.object({ auth: z.string().optional() }).catch({})).optional() });
/** A token server's answer: registries name it one way or the other. */
const zToken = z.object({ token: z.string().optional(), access_token: z.string().optional() });

async function credentialsFor(registry: string): Promise<string | null> {
  const { XENO_REGISTRY_USER: user, XENO_REGISTRY_PASSWORD: password } = process.env;
  if (user !== undefined && password !== undefined) return Buffer.from(`${user}:${password}`).toString("base64");
  const files = [
    process.env["REGISTRY_AUTH_FILE"],
    path.join(process.env["DOCKER_CONFIG"] ?? path.join(homedir(), ".docker"), "config.json"),
  ];
  for (const file of files) {
    const text = file === undefined ? null : await readFile(file, "utf8").catch(() => null);
    if (text === null) continue;
    let config: unknown;
    try {
      config = JSON.parse(text);
    } catch {
      throw new OciError(`${file} is not JSON`);
    }
    const { data } = zLogins.safeParse(config);
    const auth = data?.auths?.[registry]?.auth;
    if (auth !== undefined) return auth;
  }
  return null;
}

interface Challenge {
  scheme: string;
  params: Record<string, string>;
}

function challengeOf(header: string | null): Challenge | null {
  const [, scheme, rest] = /^(\w+)\s+(.*)$/.exec(header ?? "") ?? [];
  if (scheme === undefined || rest === undefined) return null;
  const params = Object.fromEntries([...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key.toLowerCase(), value]));
  return { scheme: scheme.toLowerCase(), params };
}

export class Registry implements OciSource {
  readonly name: string;
  readonly #base: string;
  readonly #reference: Reference;
  #authorization: string | null = null;

  constructor(reference: Reference) {
    this.#reference = reference;
    this.#base = `${registryUrl(reference.registry)}/v2/${reference.repository}`;
    this.name = `${reference.registry}/${reference.repository}`;
  }

  async #get(url: string, headers: Record<string, string>, timeoutMs: number): Promise<Response> {
    const ask = (): Promise<Response> =>
      fetch(url, {
        headers: { ...headers, ...(this.#authorization === null ? {} : { authorization: this.#authorization }) },
        signal: AbortSignal.timeout(timeoutMs),
      }).catch((cause: unknown) => {
        const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
        const why = inner instanceof Error ? inner.message : String(inner);
        throw new OciError(`the registry ${this.#reference.registry} cannot be reached (${why}); check its name, and your connection`);
      });
    let response = await ask();
    if (response.status === 401 && this.#authorization === null) {
      await response.body?.cancel();
      this.#authorization = await this.#authorize(challengeOf(response.headers.get("www-authenticate")));
      response = await ask();
    }
    return response;
  }

  /** What the registry asks for: a password, or a token of the place it names. */
  async #authorize(challenge: Challenge | null): Promise<string> {
    const credentials = await credentialsFor(this.#reference.registry);
    if (challenge?.scheme === "basic") {
      if (credentials === null) throw this.#denied();
      return `Basic ${credentials}`;
    }
    const { realm, service, scope } = challenge?.params ?? {};
    if (challenge?.scheme !== "bearer" || realm === undefined)
      throw new OciError(`${this.#reference.registry} asks for a way to log in that is not known here`);
    const url = new URL(realm);
    // a password is only ever shown to the registry's own kind of place: never over plain http to another machine
    if (url.protocol !== "https:" && registryUrl(url.host) !== url.origin)
      throw new OciError(`${this.#reference.registry} asks to log in without encryption`);
    if (service !== undefined) url.searchParams.set("service", service);
    url.searchParams.set("scope", scope ?? `repository:${this.#reference.repository}:pull`);
    const response = await fetch(url, {
      headers: credentials === null ? {} : { authorization: `Basic ${credentials}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { data } = zToken.safeParse(await response.json().catch(() => ({})));
    const token = data?.token ?? data?.access_token;
    if (!response.ok || token === undefined) throw this.#denied();
    return `Bearer ${token}`;
  }

  #denied(): OciError {
    return new OciError(
      `${this.name} is not there, or not for you: log in with \`docker login ${this.#reference.registry}\`, ` +
        "or set XENO_REGISTRY_USER and XENO_REGISTRY_PASSWORD",
    );
  }

  #check(response: Response, what: string): void {
    if (response.ok) return;
    if (response.status === 404) throw new OciError(`${this.name} has no ${what}`);
    if (response.status === 401 || response.status === 403) throw this.#denied();
    throw new OciError(`the registry ${this.#reference.registry} answers ${response.status} for ${what}`);
  }

  async manifest(version: string | null): Promise<{ mediaType: string; bytes: Uint8Array }> {
    const wanted = version ?? this.#reference.version;
    const response = await this.#get(`${this.#base}/manifests/${wanted}`, { accept: MANIFEST_TYPES.join(", ") }, TIMEOUT_MS);
    this.#check(response, wanted);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > MANIFEST_BYTES_MAX) throw new OciError(`the manifest of ${this.name} is larger than any is`);
    if (wanted.startsWith("sha256:")) checkDigest(bytes, wanted, this.name);
    return { mediaType: (response.headers.get("content-type") ?? "").replace(/;.*/s, "").trim(), bytes };
  }

  async save(digest: string, size: number, file: string): Promise<void> {
    const response = await this.#get(`${this.#base}/blobs/${digest}`, {}, BLOB_TIMEOUT_MS);
    this.#check(response, digest);
    let left = size;
    const counted = async function* (source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        left -= chunk.length;
        if (left < 0) throw new OciError(`${digest} is larger than its manifest says`);
        yield chunk;
      }
    };
    await pipeline(Readable.fromWeb(response.body as never), counted, createWriteStream(file, { mode: 0o600 }));
  }
}
