import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly certFile: string;
  readonly keyFile: string;
}

const openssl = (directory: string, args: readonly string[]): void => {
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
};

export interface CertificateOptions {
  /** Alternative names; default those of the loopback. */
  readonly san?: string;
  /** For which it is valid; default 2. */
  readonly days?: number;
}

/** A key and a certificate for a name of the loopback; signed by `ca`, or by itself. */
export function makeCertificate(
  directory: string,
  name: string,
  ca?: Certificate,
  { san = 'DNS:localhost,IP:127.0.0.1', days = 2 }: CertificateOptions = {},
): Certificate {
  const file = (ending: string) => join(directory, `${name}.${ending}`);
  writeFileSync(file('ext'), `subjectAltName=${san}\n`);
  openssl(directory, ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file('sec1')]);
  openssl(directory, ['pkcs8', '-topk8', '-nocrypt', '-in', file('sec1'), '-out', file('key')]);
  const subject = ['-new', '-key', file('key'), '-subj', `/CN=${name}`];
  if (ca === undefined) openssl(directory, ['req', '-x509', ...subject, '-days', '2', '-out', file('crt')]);
  else {
    openssl(directory, ['req', ...subject, '-out', file('csr')]);
    const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-CAcreateserial'];
    openssl(directory, [
      'x509',
      '-req',
      '-in',
      file('csr'),
      ...signer,
      '-days',
      `${days}`,
      '-extfile',
      file('ext'),
      '-out',
      file('crt'),
    ]);
  }
  return {
    cert: readFileSync(file('crt')),
    key: readFileSync(file('key')),
    certFile: file('crt'),
    keyFile: file('key'),
  };
}
