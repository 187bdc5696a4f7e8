/** Names of OCI images, as docker and podman read them: [HOST[:PORT]/]REPOSITORY (HOST may be [IPv6])[:TAG][@DIGEST]. */
export interface Reference {
  registry: string;
  repository: string;
  /** A tag, or a digest: `sha256:…`, `sha512:…`. */
  version: string;
}

export const DEFAULT_REGISTRY = "registry-1.docker.io";
/** How that one stands in images' names. */
export const DEFAULT_HOST = "docker.io";

/** Its old name. */
const OLD_DEFAULT_HOST = "index.docker.io";
/** As podman and skopeo have a name of a registry among other kinds. */
const KIND = "docker://";

const LABEL = /[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?/.source;
const HOST = new RegExp(`(?<host>(?:\\[[0-9a-fA-F:]{2,39}\\]|${LABEL}(?:\\.${LABEL})*)(?::\\d{1,5})?)/`);
/** Each part begins and ends with a letter or digit: none is `.` or `..`, which would lead elsewhere in the registry. */
const PART = /[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*/;
const REPOSITORY = new RegExp(`(?<repository>${PART.source}(?:/${PART.source})*)`);
const VERSION = /(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?/;
const NAME = new RegExp(`^(?:${HOST.source})?${REPOSITORY.source}${VERSION.source}$`);
const FIRST_PART = new RegExp(`^${PART.source}$`);

/** Only something with a dot or a port, or localhost, is a host; "library/python" is a repository. */
const isRegistry = (first: string): boolean => /[.:]/.test(first) || first === "localhost";

/** Whether it names no registry: which one is meant, settings say. By its kind it is Docker Hub's. */
export const isShortName = (text: string): boolean =>
  !text.startsWith(KIND) && (!text.includes("/") || !isRegistry(text.slice(0, text.indexOf("/"))));

/** Null where the text is no such name. */
export function parseReference(text: string): Reference | null {
  const { host, repository, tag, digest } = NAME.exec(text.startsWith(KIND) ? text.slice(KIND.length) : text)?.groups ?? {};
  if (repository === undefined) return null;
  const version = digest ?? tag ?? "latest";
  const isHost = host !== undefined && isRegistry(host);
  if (host !== undefined && (isHost ? !URL.canParse(`https://${host}`) : !FIRST_PART.test(host))) return null;
  const [registry, name] = isHost ? [host, repository] : [undefined, host === undefined ? repository : `${host}/${repository}`];
  if (registry !== undefined && registry !== DEFAULT_HOST && registry !== OLD_DEFAULT_HOST) return { registry, repository: name, version };
  return { registry: DEFAULT_REGISTRY, repository: name.includes("/") ? name : `library/${name}`, version };
}

/** Whether it is one but for its capital letters, which none has outside of its host and tag. */
export function isNameInCapitals(text: string): boolean {
  const [, name = "", version = ""] = /^([^@]*?)((?::[^:/@]*)?(?:@.*)?)$/s.exec(text) ?? [];
  return /[A-Z]/.test(name) && parseReference(text) === null && parseReference(name.toLowerCase() + version) !== null;
}

/** As settings of container engines have it. */
export const fullName = ({ registry, repository }: Omit<Reference, "version">): string =>
  `${registry === DEFAULT_REGISTRY ? DEFAULT_HOST : registry}/${repository}`;

/** As docker does: plain http is for this machine's own registries only. */
export function registryUrl(registry: string): string {
  const host = registry.replace(/:\d+$/, "");
  const own = host === "localhost" || host === "[::1]" || host.startsWith("127.");
  return `${own ? "http" : "https"}://${registry}`;
}
