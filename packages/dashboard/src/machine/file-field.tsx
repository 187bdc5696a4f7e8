/** A file that is chosen, or dropped anywhere on its field. */
import { useId, useRef, useState, type DragEvent, type ReactNode } from "react";

interface FileFieldProps {
  name: string;
  label: string;
  accept: string;
  /** Another file was dropped: forms hear nothing of it by themselves. */
  dropped(): void;
}

const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer.types.includes("Files");

export function FileField({ name, label, accept, dropped }: FileFieldProps): ReactNode {
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
    const [file] = event.dataTransfer.files;
    if (!file) return;
    const one = new DataTransfer();
    one.items.add(file);
    input.current.files = one.files;
    dropped();
  };
  return (
    <div
      className={isOver ? "field wide-field drop over" : "field wide-field drop"}
      onDragOver={over}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <label htmlFor={id}>{label}; or drop it here</label>
      <input ref={input} id={id} name={name} type="file" accept={accept} />
    </div>
  );
}
