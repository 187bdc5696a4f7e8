import { expect, it } from "vitest";
import { proxyScript } from "./proxy-script.ts";

it("is a script of the system's own, whatever stands in the paths of Node and of the command", () => {
  expect(proxyScript(false, ["/opt/a b/node", "/home/o'neil/xeno.js", "forward", "ab12", "stdio:22"])).toEqual({
    name: "proxy",
    text: "#!/bin/sh\nexec '/opt/a b/node' '/home/o'\\''neil/xeno.js' forward ab12 stdio:22\n",
  });
  const words = ["C:\\Program Files\\nodejs\\node.exe", "C:\\100% mine\\xeno.js", "forward", "ab12", "stdio:22"];
  expect(proxyScript(true, words)).toEqual({
    name: "proxy.cmd",
    text: '@"C:\\Program Files\\nodejs\\node.exe" "C:\\100%% mine\\xeno.js" "forward" "ab12" "stdio:22"\r\n',
  });
});
