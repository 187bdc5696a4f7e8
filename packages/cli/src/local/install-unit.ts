/** `xeno serve --install`: a hardened systemd unit. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { print, say } from "../output/terminal.ts";

const unit = (node: string, cli: string, folder: string, configFile: string): string => `[Unit]
Description=Xenoserver
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${node} ${cli} serve --data ${folder} --config ${configFile}
Restart=always
RestartSec=2
# guests outlive the daemon and are adopted by the next one
KillMode=process
TimeoutStopSec=90
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=${folder}
ProtectHome=tmpfs
BindPaths=${folder}
BindReadOnlyPaths=-${configFile}
PrivateTmp=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
Delegate=yes

[Install]
WantedBy=multi-user.target
`;

export async function installUnit(folder: string, configFile: string): Promise<void> {
  const text = unit(process.execPath, path.resolve(import.meta.dirname, "../../bin/xeno.js"), folder, configFile);
  const root = process.getuid?.() === 0;
  const file = root ? "/etc/systemd/system/xenoserver.service" : path.join(folder, "xenoserver.service");
  await writeFile(file, text);
  print(file);
  say(
    root
      ? "start it with: systemctl daemon-reload && systemctl enable --now xenoserver"
      : "not root: copy it to /etc/systemd/system/ and enable it there",
  );
}
