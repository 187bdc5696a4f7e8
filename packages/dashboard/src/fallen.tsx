/** What is left to say where a view could not be drawn: a fault of this page, which would leave nothing at all. */
import { Component, type ReactNode } from "react";
import { Problem } from "./problem.tsx";

interface State {
  error: unknown;
}

export class Fallen extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <main>
        <h1>This page has failed</h1>
        <Problem error={this.state.error} what="It cannot be shown" />
        <p>
          <a href="./">Begin anew</a>; leases run on without it.
        </p>
      </main>
    );
  }
}
