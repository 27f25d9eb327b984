import { fileURLToPath } from 'node:url';

/** Folder of the hand-written eBPF headers; the same from `src/` and from `dist/`. */
export const EBPF_DIR = fileURLToPath(new URL('../ebpf', import.meta.url));

/** Folder of the hand-written P4. */
export const P4_DIR = fileURLToPath(new URL('../p4', import.meta.url));

/** Folder of the ready-made feature definitions. */
export const GALLERY_DIR = fileURLToPath(new URL('../gallery', import.meta.url));

/** Folder of the controller's page. */
export const PAGE_DIR = fileURLToPath(new URL('../page', import.meta.url));
