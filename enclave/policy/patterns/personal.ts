// SPDX-License-Identifier: Apache-2.0
/** Personal data that has a form of its own. Names and street addresses have none: no pattern finds them. */
import type { LibraryPattern } from './pattern.ts';

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
/** Between groups of digits: space, no-break space, hyphens and dashes. */
const GAP = '[ \\x{a0}\\x{2009}\\x{202f}\\x{2010}-\\x{2015}-]';

const personal = (name: string, about: string, source: string): LibraryPattern => ({ name, group: 'personal', about, source });

export const PERSONAL: readonly LibraryPattern[] = [
  personal('email', 'addresses of electronic mail', "[\\p{L}\\p{N}][\\p{L}\\p{N}._%+'-]*@(?:[\\p{L}\\p{N}-]+\\.)+(?:xn--[A-Za-z0-9-]{2,59}|\\p{L}{2,24})\\b"),
  {
    ...personal('iban', 'bank accounts (ISO 13616), with a valid check number', `\\b[A-Z]{2}[0-9]{2}(?:${GAP}?[A-Z0-9]{4}){2,7}(?:${GAP}?[A-Z0-9]{1,4})?\\b|\\b[a-z]{2}[0-9]{2}[a-z0-9]{11,30}\\b`),
    check: 'iban',
  },
  { ...personal('card', 'payment cards, 13 to 19 digits, with a valid check digit', `\\b[2-6][0-9](?:${GAP}?[0-9]){11,}\\b`), check: 'luhn' },
  personal(
    'phone',
    'telephone numbers with + or 00 and the country, and ten digits in groups as in North America',
    [
      '(?:\\B\\+|\\b00)[1-9][0-9]{0,2}(?:[ ./()\\x{a0}-]{0,2}[0-9]){6,13}\\b',
      '(?:\\B\\([2-9][0-9]{2}\\) ?|\\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\\b',
    ].join('|'),
  ),
  personal(
    'us-ssn',
    'social security numbers of the United States, with separators, as they are issued',
    '\\b(?:00[1-9]|0[1-9][0-9]|[1-578][0-9]{2}|6(?:[0-57-9][0-9]|6[0-57-9]))[ -](?:0[1-9]|[1-9][0-9])[ -](?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})\\b',
  ),
  personal(
    'ipv4-private',
    'IPv4 addresses of private networks (RFC 1918)',
    `\\b(?:10(?:\\.${OCTET}){3}|192\\.168(?:\\.${OCTET}){2}|172\\.(?:1[6-9]|2[0-9]|3[01])(?:\\.${OCTET}){2})\\b`,
  ),
];
