// What makes the pages of the console live. Each element is of use by itself, and
// none is needed for a page to be of use.
import "./attach";
import "./copy";
import "./diff";
import "./diff";
import "./draft";
import "./estimate";
import "./graph";
import "./invitation";
import "./palette";
import "./stream";
import "./tail";
import "./time";
import "./timeline";
import "./view";
import { bindKeys } from "./keys";

bindKeys();
