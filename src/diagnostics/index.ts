export {
  type Diagnostic,
  DiagnosticError,
  diagnostic,
  formatDiagnostic,
  madeOrRefuse,
  type Place,
  placed,
  refuse,
  reportingTo,
  throwErrors,
} from './diagnostic.ts';
export { jsonText, printable, printableJson, printableLines, printableMarkup } from './printable.ts';
export { type DiagnosticArgs, type DiagnosticCode, diagnosticTable, type Severity } from './table.ts';
