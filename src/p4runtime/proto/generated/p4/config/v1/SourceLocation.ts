// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * Where something stands in the program, both counted from 1.
 */
export interface SourceLocation {
  'file'?: (string);
  'line'?: (number);
  'column'?: (number);
}

/**
 * Where something stands in the program, both counted from 1.
 */
export interface SourceLocation__Output {
  'file': (string);
  'line': (number);
  'column': (number);
}
