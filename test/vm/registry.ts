/** A real registry (Debian's docker-registry) on loopback, with a password where asked for, and images pushed into it by the distribution protocol. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { until } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { run } from "./support.ts";

export interface TestRegistry {
  host: string;
  child: ChildProcess;
  authorization: string | null;
}

export async function startRegistry(folder: string, password: string | null = null): Promise<TestRegistry> {
  const port = await freePort();
  await mkdir(folder, { recursive: true });
  const auth = password === null ? "" : `auth:\n  htpasswd:\n    realm: test\n    path: ${folder}/htpasswd\n`;
  if (password !== null) {
    const { stdout } = await run("htpasswd", ["-nbB", "carl", password]);
    await writeFile(path.join(folder, "htpasswd"), stdout.trim());
  }
  const config = path.join(folder, "registry.yml");
  await writeFile(
    config,
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\nhttp:\n  addr: 127.0.0.1:${port}\n${auth}`,
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  await until(() =>
    fetch(`http://127.0.0.1:${port}/v2/`).then(
      () => true,
      () => false,
    ),
  );
  const authorization = password === null ? null : `Basic ${Buffer.from(`carl:${password}`).toString("base64")}`;
  return { host: `127.0.0.1:${port}`, child, authorization };
}

/** Pushes the image of a layout under a name; the digest of its manifest. */
export async function push(
  { host, authorization }: TestRegistry,
  layout: string,
  tag: string,
  name: string,
  change: (manifest: string) => string = (text) => text,
): Promise<string> {
  const headers = authorization === null ? {} : { authorization };
  const index = JSON.parse(await readFile(path.join(layout, "index.json"), "utf8")) as {
    manifests: { digest: string; annotations: Record<string, string> }[];
  };
  const { digest } = index.manifests.find(({ annotations }) => annotations["org.opencontainers.image.ref.name"] === tag)!;
  const blob = (of: string): Promise<Buffer> => readFile(path.join(layout, "blobs/sha256", of.slice(7)));
  const manifest = (await blob(digest)).toString();
  const { config, layers } = JSON.parse(manifest) as { config: { digest: string }; layers: { digest: string }[] };
  for (const each of [config, ...layers]) {
    const begun = await fetch(`http://${host}/v2/${name}/blobs/uploads/`, { method: "POST", headers });
    const location = new URL(begun.headers.get("location")!, `http://${host}`);
    location.searchParams.set("digest", each.digest);
    const put = await fetch(location, {
      method: "PUT",
      headers: { ...headers, "content-type": "application/octet-stream" },
      body: await blob(each.digest),
    });
    if (!put.ok) throw new Error(`the registry answers ${put.status}`);
  }
  const text = change(manifest);
  const put = await fetch(`http://${host}/v2/${name}/manifests/latest`, {
    method: "PUT",
    headers: { ...headers, "content-type": "application/vnd.oci.image.manifest.v1+json" },
    body: text,
  });
  if (!put.ok) throw new Error(`the registry answers ${put.status} ${await put.text()}`);
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
