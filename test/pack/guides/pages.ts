/**
 * Every page that tells its reader to type something, with what becomes of each line: it is run, in the page's order, or stands here with the
 * reason why not. test/repo/guides.test.ts holds it total: a line that is new on a page fails until it has its place.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { asAgent } from "./agent.ts";
import type { Guest } from "./guest.ts";
import { checkedBy, creditedByDemo, endsPipeline, newestLease, runBy } from "./deeds.ts";
import { initrdHere, kernelHere, layoutHere } from "./guests-here.ts";
import type { Page, Place } from "./place.ts";

const runs: Place = {};
const left = (why: string): Place => ({ left: why });
const says = (what: RegExp, over: object = {}): Place => ({ says: what, ...over });

const known = (name: string, found: RegExp) => (guest: Guest) => {
  const said = guest.known.get(name);
  const value = said === undefined ? undefined : found.exec(said)?.[0];
  if (value === undefined) throw new Error(`'${name}' has not said ${found}: ${said}`);
  return value;
};
const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/;
const TOKEN = /xeno-ci-\S+/;
const FINGERPRINT = /(?:[0-9a-f]{4} ){7}[0-9a-f]{4}/;
const DEMO = "xeno demo";
const demoAddress = known(DEMO, ADDRESS);
const BROKER = "xeno broker --data /srv/xeno --host 0.0.0.0 --port 7400 --name market.example";
const brokerAddress = known(BROKER, ADDRESS);

const HELLO = 'import sys\nprint("hello", *sys.argv[1:])\nopen("made.txt", "w").write("kept")\n';
const COUNT = 'import sys\nfor name in sys.argv[1:]:\n    print(name.rsplit("/", 1)[-1], sum(1 for _ in open(name)))\n';
const DATA = { "data/one.csv": "a,1\nb,2\n", "data/two.csv": "c,3\n" };

/** The market is `xeno demo`'s. */
export const CUSTOMERS: Readonly<Record<string, Page>> = {
  "docs/start.md": {
    means: {
      "npm i -g xenoservers": ({ packed }) => `npm i -g ${packed.file("xenoservers")}`,
      [DEMO]: `${DEMO} --port 0`,
      "https://market.example": demoAddress,
      "xenoservers-linux-x64.tar.gz": ({ packed }) => path.join(packed.folder, `xenoservers-linux-${process.arch}.tar.gz`),
      "xenoservers-linux-x64/": `xenoservers-linux-${process.arch}/`,
      LEASE: newestLease,
    },
    has: { "script.py": HELLO },
    places: [
      ["npm i -g xenoservers", says(/added \d+ packages/)],
      [DEMO, { serves: /keeps serving at http:\S+ until Ctrl-C/ }],
      ["export XENO_HOME=~/.local/share/xeno/demo", runs],
      ["xeno run script.py", says(/^hello$/m)],
      ["xeno login https://market.example", says(/you are p_/, { answers: "y", after: creditedByDemo(1) })],
      ["xeno run --out results script.py", says(/^hello$/m, { after: (guest: Guest) => guest.sees("results/made.txt", "kept") })],
      ["xeno verify LEASE", says(/^proved +bill/m)],
      ["tar -xzf xenoservers-linux-x64.tar.gz", runs],
      ["xenoservers-linux-x64/bin/xeno serve --check", says(/sandbox/)],
      [
        "esbuild program.ts --bundle --platform=node --format=esm --outfile=program.mjs --banner:js='import { createRequire } from \"node:module\"; const require = createRequire(import.meta.url);'",
        left("test/pack/packed.test.ts makes this bundle with these words"),
      ],
    ],
  },
  "docs/customer.md": {
    means: { "http://broker.example:7400": demoAddress },
    has: {
      ...DATA,
      "job.py": "import sys\nprint(sys.argv[1:], len(__import__('os').listdir('/in')))\nopen('made.txt', 'w').write('kept')\n",
    },
    places: [
      ["xeno login http://broker.example:7400", says(/you are p_/)],
      ["xeno search 'cpu>=1 mem>=512M price<0.05' --explain", says(/s_[0-9a-f]{10}.*strong/)],
      ["xeno run --in data --out results job.py --rounds 20", says(/\['--rounds', '20'\] 2/)],
    ],
  },
  "docs/many-jobs.md": {
    means: {},
    has: {
      ...DATA,
      "count.py": COUNT,
      "sweep.py": "import sys\nopen('square.txt', 'w').write(str(int(sys.argv[2]) ** 2))\n",
      "prepare.py": "print('prepared')\n",
      "total.py": "print('total')\n",
    },
    places: [
      ["xeno map -P 4 --budget 0.20 --label counts count.py {} -- 'data/*.csv'", says(/^one\.csv 2\ntwo\.csv 1$/m)],
      ["xeno ps --all --label counts", says(/counts +completed \(0\)[\s\S]*counts +completed \(0\)/)],
      ["xeno wallet --by-label", says(/counts +2 /)],
      ["xeno map --resume counts count.py {} -- 'data/*.csv'", says(/^one\.csv 2\ntwo\.csv 1$/m)],
      ["xeno map --resume counts count.py {} -- 'data/*.csv'", says(/2 of them earlier/)],
      ["xeno map --reuse --label counts count.py {} -- 'data/*.csv'", says(/2 of them earlier/)],
      [
        "xeno map --array 1-4 --out squares sweep.py --seed {}",
        says(/4\/4 done/, { after: (guest: Guest) => guest.sees("squares/3/square.txt", "9") }),
      ],
      ["find data -name '*.csv' | xeno map count.py -- -", says(/^two\.csv 1$/m)],
      ["first=$(xeno run --detach --quiet prepare.py)", runs],
      ['xeno run --after "$first" total.py', says(/^total$/m)],
      ["batch=$(xeno batch open 0.20)", runs],
      ['xeno run --batch "$batch" count.py', runs],
      ['xeno run --batch "$batch" prepare.py', says(/^prepared$/m)],
      ['xeno batch close "$batch"', says(/0\.1999\d* credits came back/)],
    ],
  },
  "docs/ci.md": {
    means: {
      "https://market.example": demoAddress,
      $XENO_TOKEN: known("xeno token create --label ci --max-per-day 2.50 --lease-label ci --expires 90d", TOKEN),
      "${{ vars.XENO_FINGERPRINT }}": known(DEMO, FINGERPRINT),
      $XENO_FINGERPRINT: known(DEMO, FINGERPRINT),
    },
    has: { ...DATA, "job.py": HELLO },
    places: [
      ["xeno token create --label ci --max-per-day 2.50 --lease-label ci --expires 90d", says(TOKEN)],
      ["xeno token ls", says(/ ci .* label ci +2\.50/)],
      ["npm i -g xenoservers", left("it is the first line of docs/start.md")],
      [
        'xeno login https://market.example --token "$XENO_TOKEN" --fingerprint "${{ vars.XENO_FINGERPRINT }}"',
        says(/with a ci key that may/),
      ],
      [
        "xeno run --in data --out results --budget 0.50 --max-time 20m --label ci job.py",
        // the other pipeline has a runner, and a folder, of its own
        says(/^hello$/m, { after: (guest: Guest) => rm(path.join(guest.folder, "results"), { recursive: true }) }),
      ],
      ["npm i -g xenoservers", left("it is the first line of docs/start.md")],
      ['xeno login https://market.example --token "$XENO_TOKEN" --fingerprint "$XENO_FINGERPRINT"', says(/with a ci key that may/)],
      ["xeno run --in data --out results --budget 0.50 --max-time 20m --label ci --json job.py > run.json", { after: endsPipeline }],
    ],
  },
  "docs/agents.md": {
    means: {
      "/home/me/work": ({ folder }) => folder,
      "xeno-ci-…": known("xeno token create --label agent --max-per-day 2.50 --expires 30d", TOKEN),
    },
    has: {},
    places: [
      ["xeno token create --label agent --max-per-day 2.50 --expires 30d", says(TOKEN)],
      ["json 1", { with: asAgent }],
    ],
  },
  "docs/sdk.md": {
    means: {
      "npm i @xenoservers/sdk": ({ packed }) =>
        `npm i ${["market", "protocol", "verify", "sdk"].map((name) => packed.file(`@xenoservers/${name}`)).join(" ")}`,
      "https://HOST": demoAddress,
      "f370 4f00 …": known(DEMO, FINGERPRINT),
    },
    has: {
      "package.json": '{"private":true,"type":"module"}\n',
      "report.py": HELLO,
      "count.py": COUNT,
      "a.txt": "one\n",
      "b.txt": "two\nthree\n",
    },
    places: [
      ["npm i @xenoservers/sdk", runs],
      ["npx xenoservers login https://HOST", says(/you are p_/, { after: creditedByDemo(2) })],
      [
        "ts 1",
        {
          with: (guest, text) =>
            runBy(
              guest,
              "first.ts",
              `${text}console.log(ok, exitCode, bill.dueNanos > 0n);\nmarket.close();\n`,
              /^hello 2026\ntrue 0 true$/m,
            ),
        },
      ],
      [
        "ts 2",
        {
          with: (guest, text) =>
            runBy(guest, "login.ts", `${text}console.log(name, context.party);\nmarket.close();\n`, /^\S+ p_[0-9a-f]{40}$/m),
        },
      ],
      [
        "ts 3",
        {
          with: (guest, text) =>
            runBy(
              guest,
              "priced.ts",
              `import { Market } from "@xenoservers/sdk";\nconst market = await Market.connect();\n${text}market.close();\n`,
              /^[1-9]\d*n s_\w+$[^]*^running$/m,
            ),
        },
      ],
      [
        "ts 4",
        {
          with: (guest, text) =>
            runBy(
              guest,
              "many.ts",
              `import { Market } from "@xenoservers/sdk";\nconst market = await Market.connect();\nconst names = ["a.txt", "b.txt"];\n${text}market.close();\n`,
              /^a\.txt true a\.txt 1\n\nb\.txt true b\.txt 2$/m,
            ),
        },
      ],
      ["ts 5", left("it needs servers of three owners, and a demo has one: test/repo/sdk-surface.test.ts holds its words")],
      ["ts 6", left("it is a browser's: test/pack/browser.test.ts logs a page in by a token, and follows a run of it in Chromium")],
      ["ts 7", left("it is a browser's: test/pack/machines-page.test.ts plays each of its calls in Chromium, on machines of QEMU")],
    ],
  },
};

/** The market is the operator's of the first page, its machine the owner's of the second. */
export const OPERATORS: Readonly<Record<string, Page>> = {
  "docs/operator.md": {
    means: {
      "/srv/xeno": ({ home }) => path.join(home, "srv"),
      "0.0.0.0": "127.0.0.1",
      "--port 7400": "--port 0",
      "http://127.0.0.1:7400": brokerAddress,
      PARTY: known("xeno login http://127.0.0.1:7400", /p_[0-9a-f]{40}/),
    },
    has: {},
    places: [
      [BROKER, { serves: /^http:\S+\n/m }],
      ["xeno login http://127.0.0.1:7400", says(/you are p_/, { answers: "y" })],
      ["xeno broker credit PARTY 10 --source bank --reference 2026-0001 --data /srv/xeno", says(/^done$/m)],
      ["xeno broker fee 2.5% --data /srv/xeno", says(/2\.5 ?%/)],
      ["xeno broker overview http://127.0.0.1:7400 --data /srv/xeno", says(/^\w+ +\d/m)],
      ["toml 1", left("test/repo/guides.test.ts reads it as a broker does; what it names is not here")],
    ],
  },
  "docs/owner.md": {
    means: {
      "http://broker.example:7400": brokerAddress,
      "xeno-enrol-…": known("xeno token create --server", /xeno-enrol-\S+/),
    },
    has: {},
    places: [
      ["xeno login http://broker.example:7400", says(/you are p_/)],
      ["xeno token create --server", says(/xeno-enrol-\S+/)],
      ["xeno serve --check", says(/sandbox/)],
      ["xeno serve --enrol xeno-enrol-…", { serves: /^s_[0-9a-f]+ serves http/m }],
      [
        "xeno serve --install",
        left("it writes units of this machine's systemd: cli/src/local/install-unit.test.ts, test/vm/systemd.test.ts"),
      ],
      ["toml 1", { with: checkedBy }],
      [
        "apt install qemu-system-x86 qemu-utils ovmf swtpm iproute2 squashfs-tools xz-utils bzip2 busybox-static qemu-guest-agent linux-image-cloud-amd64",
        left("it installs packages of the system; .ci/run installs them all"),
      ],
      ["xeno serve --check", says(/machines|virtual/)],
      ["apt install xen-utils xenstore-utils grub-xen-host dmsetup qemu-utils", left("it is for a host that runs Xen: npm run test:xen")],
      [
        "apt install linux-image-amd64 busybox-static qemu-guest-agent squashfs-tools xz-utils bzip2",
        left("it is for a host that runs Xen: npm run test:xen"),
      ],
      ["xeno serve --check", left("it is for a host that runs Xen: npm run test:xen")],
    ],
  },
};

const FIRST = known("xeno run --detach --mem 256M --kernel vmlinuz --initrd initrd.img", /^[0-9a-f]{64}$/m);
const DISK = "test/vm/disk.test.ts does it with a Debian of its own, which takes minutes to boot where it is emulated";

/** On the owner's machine, where it has QEMU; emulated, for that is what every machine can. */
export const MACHINES: Readonly<Record<string, Page>> = {
  "docs/containers.md": {
    means: { "xeno run ": "xeno run --accel any --mem 192M ", "alpine:3": layoutHere, LEASE: newestLease },
    has: { ...DATA, "report.sh": 'ls /in; echo "report of $1" >/out/report\n' },
    places: [
      ["xeno run alpine:3 -- cat /etc/passwd", says(/^root:x:0:0/m)],
      [
        "xeno run --in data --out results alpine:3 report.sh 2026",
        says(/^one\.csv$/m, { after: (guest: Guest) => guest.sees("results/report", "report of 2026") }),
      ],
      ['echo "some text" | xeno run alpine:3 -- wc -w', says(/^2$/m)],
      ["xeno run --detach --user root alpine:3 -- sh -c 'echo ready; sleep 1000'", says(/^[0-9a-f]{64}$/m)],
      ["xeno exec LEASE -- id -u", says(/^0$/m)],
      ["xeno cp data LEASE:/tmp/data", runs],
      ["xeno cp LEASE:/tmp/data/one.csv copy.csv", { after: (guest: Guest) => guest.sees("copy.csv", "a,1") }],
      ["xeno cp LEASE:/tmp/data - > data.tar", { after: (guest: Guest) => guest.sees("data.tar", "a,1") }],
      ["xeno logs LEASE", says(/^ready$/m)],
      ["xeno lease stop LEASE", runs],
    ],
  },
  "docs/machines.md": {
    means: { "xeno run ": "xeno run --accel any ", vmlinuz: kernelHere, "initrd.img": initrdHere, LEASE: FIRST },
    has: {},
    places: [
      ["xeno run --detach --mem 256M --kernel vmlinuz --initrd initrd.img", says(/^[0-9a-f]{64}$/m)],
      ["xeno logs LEASE", runs],
      ["xeno lease pause LEASE", runs],
      ["xeno lease resume LEASE", runs],
      ["xeno lease snapshot LEASE", runs],
      ["xeno lease fork LEASE 1", says(/[0-9a-f]{12}/)],
      ["xeno lease stop LEASE", runs],
      ["xeno run --vm debian.qcow2 --ssh-key ~/.ssh/id_ed25519.pub --user me --detach", left(DISK)],
      ["xeno ssh LEASE -l me", left(DISK)],
      ["rsync -a -e 'xeno ssh' folder/ me@LEASE:folder/", left(DISK)],
      ["GIT_SSH_COMMAND='xeno ssh' git push me@LEASE:project.git main", left(DISK)],
      ["xeno forward LEASE 8080:80", left(DISK)],
    ],
  },
};

const POOL = "it needs a pool, or a guest of one: xenoserver/src/drivers/xapi/real-pool.test.ts";
const CHECKOUT = ".ci/run does it, in a checkout";

/** Nothing of them is run here. */
export const LEFT: Readonly<Record<string, Page>> = {
  "README.md": {
    means: {},
    has: {},
    places: [
      ["npm ci && npm start", left(CHECKOUT)],
      ["npm ci && npm test", left(CHECKOUT)],
    ],
  },
  "docs/xcp-ng.md": {
    means: {},
    has: {},
    places: [
      ["toml 1", left(POOL)],
      ["toml 2", left(POOL)],
      ["xeno run --driver xapi --vm debian-12.qcow2 --disk 4G --user-data job.yaml", left(POOL)],
      ["sh -c 'my-job >stdout 2>&1; echo $? >exit'; tar -cf /dev/xvdc exit stdout out; poweroff", left(POOL)],
    ],
  },
};
