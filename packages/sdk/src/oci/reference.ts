/** Names of OCI images, as docker and podman read them: [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:DIGEST]. */
export interface Reference {
  registry: string;
  repository: string;
  /** A tag, or `sha256:…`. */
  version: string;
}

const DEFAULT_REGISTRY = "registry-1.docker.io";

/** Null where the text is no such name. */
export function parseReference(text: string): Reference | null {
  const match =
    /^(?:([a-zA-Z0-9.-]+(?::\d{1,5})?)\/)?([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(
      text,
    );
  if (!match) return null;
  let [, host, repository] = match;
  // only something with a dot or a port, or localhost, is a host; "library/python" is a repository
  if (host !== undefined && !/[.:]/.test(host) && host !== "localhost") {
    repository = `${host}/${repository}`;
    host = undefined;
  }
  if (host === "docker.io") host = undefined;
  if (host === undefined && !repository!.includes("/")) repository = `library/${repository}`;
  return { registry: host ?? DEFAULT_REGISTRY, repository: repository!, version: match[4] ?? match[3] ?? "latest" };
}

/** As docker does: plain http is for this machine's own registries only. */
export function registryUrl(registry: string): string {
  const host = registry.replace(/:\d+$/, "");
  const own = host === "localhost" || host.startsWith("127.");
  return `${own ? "http" : "https"}://${registry}`;
}
