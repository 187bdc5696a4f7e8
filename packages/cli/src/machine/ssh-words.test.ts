import { expect, it } from "vitest";
import { machineFirst, sshWords } from "./ssh-words.ts";

it.each([
  ["no words", [], [], 22, []],
  ["a command with options of its own", ["ls", "-p", "80", "-o", "x=y"], ["ls", "-p", "80", "-o", "x=y"], 22, []],
  ["a -- before ssh's own options (gcloud compute ssh NAME -- -L …)", ["--", "-vvv", "-L", "80:a:80"], ["-vvv", "-L", "80:a:80"], 22, []],
  ["a -- behind this program's own", ["-l", "me", "--", "-oPort=80", "ls"], ["-l", "me", "-oPort=80", "ls"], 80, ["port"]],
  ["a -- of the command", ["ls", "--", "-x"], ["ls", "--", "-x"], 22, []],
  ["another port", ["-p", "2222", "uptime"], ["-p", "2222", "uptime"], 2222, ["port"]],
  ["another port in one word with others", ["-vp2222"], ["-vp2222"], 2222, ["port"]],
  ["the first of two ports, as ssh", ["-oPort=1", "-p", "2"], ["-oPort=1", "-p", "2"], 1, ["port"]],
  [
    "options in each form",
    ["-o", "LogLevel=DEBUG", "-oconnecttimeout 60"],
    ["-o", "LogLevel=DEBUG", "-oconnecttimeout 60"],
    22,
    ["loglevel", "connecttimeout"],
  ],
  ["a word that looks like an option", ["-L", "-p", "-N"], ["-L", "-p", "-N"], 22, []],
])("reads %s", (_, words, args, port, set) => {
  const read = sshWords(words);
  expect([read.args, read.port, [...read.set]]).toEqual([args, port, set]);
});

it("names a port that is none", () => {
  expect(() => sshWords(["-p", "ssh"])).toThrow("port 'ssh' must be a number from 1 to 65535");
});

it.each([
  ["options behind the machine", ["c0ffee", "-p", "22", "ls"], ["c0ffee", "-p", "22", "ls"]],
  ["a -- behind it", ["c0ffee", "--", "-L", "1:a:1"], ["c0ffee", "--", "-L", "1:a:1"]],
  [
    "rsync's words",
    ["-i", "key", "-l", "me", "c0ffee", "rsync", "--server", "."],
    ["c0ffee", "-i", "key", "-l", "me", "rsync", "--server", "."],
  ],
  [
    "git's",
    ["-o", "SendEnv=GIT_PROTOCOL", "me@c0ffee", "git-upload-pack 'a'"],
    ["c0ffee", "-o", "SendEnv=GIT_PROTOCOL", "-l", "me", "git-upload-pack 'a'"],
  ],
  ["scp's", ["-x", "-oRequestTTY=no", "-s", "--", "me@c0ffee", "sftp"], ["c0ffee", "-x", "-oRequestTTY=no", "-s", "-l", "me", "sftp"]],
  ["a user that holds an @", ["a@b@c0ffee"], ["c0ffee", "-l", "a@b"]],
  ["this program's own long words", ["--user", "me", "c0ffee"], ["--user", "me", "c0ffee"]],
  ["no machine", ["-V"], ["-V"]],
])("puts the machine before %s", (_, words, ordered) => {
  expect(machineFirst(words)).toEqual(ordered);
});
