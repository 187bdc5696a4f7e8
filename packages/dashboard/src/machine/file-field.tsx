/** A file that is chosen, or dropped anywhere on its field. */
import { useId, useRef, useState, type DragEvent, type ReactNode } from "react";

interface FileFieldProps {
  name: string;
  label: string;
  accept: string;
  /** Another file was dropped: forms hear nothing of it by themselves. */
  dropped?(): void;
  /** A file was chosen or dropped, or several where that is so. */
  chosen?(files: readonly File[]): void;
  several?: boolean;
}

const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer.types.includes("Files");

export function FileField({ name, label, accept, dropped, chosen, several = false }: FileFieldProps): ReactNode {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setIsOver] = useState(false);
  const over = (event: DragEvent): void => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    setIsOver(true);
  };
  const drop = (event: DragEvent): void => {
    if (!hasFiles(event) || input.current === null) return;
    event.preventDefault();
    setIsOver(false);
    const files = [...event.dataTransfer.files].slice(0, several ? Infinity : 1);
    if (files.length === 0) return;
    const taken = new DataTransfer();
    for (const file of files) taken.items.add(file);
    input.current.files = taken.files;
    dropped?.();
    chosen?.(files);
  };
  return (
    <div
      className={isOver ? "field wide-field drop over" : "field wide-field drop"}
      onDragOver={over}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <label htmlFor={id}>{label}; or drop it here</label>
      <input
        ref={input}
        id={id}
        name={name}
        type="file"
        accept={accept}
        multiple={several}
        onChange={({ currentTarget: { files } }) => files && files.length > 0 && chosen?.([...files])}
      />
    </div>
  );
}
