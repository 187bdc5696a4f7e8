/** The market's page: begins in the element that the broker's front page leaves for it. */
import "./no-eval.ts";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { Entered } from "./entered.ts";
import { Fallen } from "./fallen.tsx";

const place = document.querySelector("#app");
if (place) {
  const entered = new Entered();
  entered.follow();
  createRoot(place).render(
    <StrictMode>
      <Fallen>
        <App entered={entered} />
      </Fallen>
    </StrictMode>,
  );
}
