/** Why nothing of a machine is taken again, whoever finds that it is one. */
export const ALIKE_ALONE = "--reuse is for modules and scripts: a machine comes to something else each time";
