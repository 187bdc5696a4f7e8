/** Which machine is wanted, as it is typed and chosen. */
import { useEffect, useId, useState, type ReactNode, type SubmitEvent } from "react";
import { WORK_DEFAULTS } from "@xenoservers/sdk";
import { said } from "../words.ts";
import { FileField } from "./file-field.tsx";
import { NETWORKS, SOURCES, chosenIn, type MachineForm, type MachineNetwork, type MachineSource } from "./machine-input.ts";
import { ServerField } from "./server-field.tsx";

const SOURCE_NAMES: Readonly<Record<MachineSource, string>> = {
  image: "Container image",
  vm: "Disk image",
  kernel: "Kernel",
  iso: "Installer",
};
const FILES: Readonly<Record<MachineSource, { label: string; accept: string }>> = {
  image: { label: "Archive of an image (docker save, podman save, skopeo copy)", accept: ".tar,.tgz,.gz,.zst,application/x-tar" },
  vm: { label: "Disk image (qcow2 or raw)", accept: ".qcow2,.qcow,.img,.raw" },
  kernel: { label: "Linux kernel", accept: "" },
  iso: { label: "Installer’s medium (.iso)", accept: ".iso" },
};
const NETWORK_NAMES: Readonly<Record<MachineNetwork, string>> = {
  none: "none",
  ports: "its ports, for you alone",
  public: `its ports, and the internet (up to ${WORK_DEFAULTS.egressMax})`,
};
const isOneOf = <T extends string>(all: readonly T[], text: string): T => all.find((each) => each === text) ?? all[0]!;

function formIn(data: FormData, source: MachineSource, label: string | null): MachineForm {
  const text = (name: string): string => String(data.get(name) ?? "");
  const file = (name: string): File | null => {
    const chosen = data.get(name);
    return chosen instanceof File && chosen.name !== "" ? chosen : null;
  };
  return {
    ...{ source, file: file(`file-${source}`), initrd: file("initrd"), append: text("append"), args: text("args") },
    ...{ cpu: text("cpu"), mem: text("mem"), disk: text("disk"), maxTime: text("maxTime"), budget: text("budget") },
    ...{ label: label ?? text("label"), network: isOneOf(NETWORKS, text("network")), hasScreen: data.has("screen") },
    ...{ isUefi: data.has("uefi"), isWindows: data.has("windows"), sshKey: text("sshKey"), userData: text("userData") },
    ...{ ...chosenIn(text("server")), takesEmulated: data.has("emulated") },
  };
}

interface TextProps {
  name: string;
  label: string;
  value?: string;
  placeholder?: string;
  isRequired?: boolean;
  rows?: number;
}

function Text({ name, label, value, placeholder, isRequired = false, rows }: TextProps): ReactNode {
  const id = useId();
  const shared = { id, name, defaultValue: value, placeholder, required: isRequired, autoComplete: "off", spellCheck: false };
  return (
    <div className={rows === undefined ? "field" : "field wide-field"}>
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? <input {...shared} maxLength={400} /> : <textarea {...shared} rows={rows} />}
    </div>
  );
}

function Check({ name, label }: { name: string; label: string }): ReactNode {
  const id = useId();
  return (
    <p className="check">
      <input id={id} name={name} type="checkbox" />
      <label htmlFor={id}>{label}</label>
    </p>
  );
}

/** What is particular to what boots. */
function SourceFields({ source, dropped }: { source: MachineSource; dropped(): void }): ReactNode {
  return (
    <>
      <FileField key={source} name={`file-${source}`} {...FILES[source]} dropped={dropped} />
      {source === "image" && <Text name="args" label="Program and arguments, a line each (empty: the image’s own)" rows={2} />}
      {source === "kernel" && (
        <>
          <FileField name="initrd" label="Its RAM disk (initrd)" accept="" dropped={dropped} />
          <Text name="append" label="Its command line (empty: it prints on its console)" />
        </>
      )}
    </>
  );
}

/** What few need. */
function MoreFields({ source }: { source: MachineSource }): ReactNode {
  if (source === "image") return null;
  return (
    <details className="wide-field">
      <summary>More</summary>
      <Check name="screen" label="A screen" />
      {source !== "kernel" && (
        <>
          <Check name="uefi" label="Starts by UEFI" />
          <Check name="windows" label="It is a Windows" />
        </>
      )}
      {source === "vm" && (
        <>
          <Text name="sshKey" label="Public key for SSH that may log in (by cloud-init)" rows={2} />
          <Text name="userData" label="Data for cloud-init (#cloud-config …)" rows={3} />
        </>
      )}
    </details>
  );
}

/** What is dropped beside a field would be opened in place of this page. */
function useNothingOpened(): void {
  useEffect(() => {
    const keep = (event: Event): void => event.preventDefault();
    addEventListener("dragover", keep);
    addEventListener("drop", keep);
    return () => {
      removeEventListener("dragover", keep);
      removeEventListener("drop", keep);
    };
  }, []);
}

interface MachineFormProps {
  quote(form: MachineForm): void;
  /** What was quoted holds no more. */
  changed(): void;
  isBusy: boolean;
  currency: string;
  /** The only label that this key may order under; null: any. */
  label: string | null;
}

export function MachineFormView({ quote, changed, isBusy, currency, label }: MachineFormProps): ReactNode {
  const [source, setSource] = useState<MachineSource>("image");
  const network = useId();
  useNothingOpened();
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    quote(formIn(new FormData(event.currentTarget), source, label));
  };
  return (
    <form className="run" aria-label="Machine" onSubmit={submit} onChange={changed}>
      <fieldset>
        <legend>From</legend>
        {SOURCES.map((each) => (
          <label key={each} className="choice">
            <input type="radio" name="source" value={each} checked={source === each} onChange={() => setSource(each)} />
            {SOURCE_NAMES[each]}
          </label>
        ))}
      </fieldset>
      <SourceFields source={source} dropped={changed} />
      <ServerField currency={currency} />
      <Text name="cpu" label="Processors" value={WORK_DEFAULTS.cpu} isRequired />
      <Text name="mem" label="Memory" value="512M" isRequired />
      <Text
        name="disk"
        label={source === "iso" ? "Disk" : "Disk (empty: as large as it needs)"}
        placeholder={source === "iso" ? "20G" : ""}
        isRequired={source === "iso"}
      />
      <div className="field">
        <label htmlFor={network}>Network</label>
        <select id={network} name="network">
          {NETWORKS.map((each) => (
            <option key={each} value={each}>
              {NETWORK_NAMES[each]}
            </option>
          ))}
        </select>
      </div>
      <Text name="maxTime" label="Longest time (10m, 2h)" value={WORK_DEFAULTS.maxTime} isRequired />
      <Text name="budget" label={`Budget, in ${said(currency, 20)}`} value={WORK_DEFAULTS.budget} isRequired />
      {label === null && <Text name="label" label="Label" />}
      <MoreFields source={source} />
      <div className="field end">
        <button type="submit" disabled={isBusy}>
          {isBusy ? "Reading it, and asking the market" : "Show what it costs"}
        </button>
      </div>
    </form>
  );
}
