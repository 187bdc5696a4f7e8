/** What of the page is loaded with its first machine. */
export { MachineRun } from "./machine-run.tsx";
export { MachineView } from "./machine-view.tsx";
