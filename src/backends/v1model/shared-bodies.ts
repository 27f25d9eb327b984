/**
 * Macro of a program that is linked after p4c: the tables of a layer's slots are to share one action, and p4c would copy it
 * for each. With the macro all but the first name an action of that name that takes nothing and does nothing.
 */
export const SHARED_BODIES = 'INTRANSIT_SHARED_BODIES';
