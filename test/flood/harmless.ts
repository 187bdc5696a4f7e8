/** Does nothing but burn the processor at the lowest priority, as an attack's program does beside its attack. */
import { constants, setPriority } from "node:os";

setPriority(constants.priority.PRIORITY_LOW);
console.log("burns");
for (;;);
