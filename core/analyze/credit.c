// Credit (credit.h).
#include "analyze/credit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

enum { CREDITS_MAX = 1 << 21 };  // between two snapshots; from then on an owner's are added to its last

static pmt_owner_t *
owner_of(const pmt_credits_t *credits, uint32_t owner)
{
    return pmt_table_at(credits->owners, owner);
}

void
pmt_credits_fini(pmt_credits_t *credits)
{
    free(credits->list);
    credits->list = NULL;
    credits->count = credits->room = 0;
}

int
pmt_credits_lend(pmt_credits_t *credits, uint32_t owner, uint64_t birth, uint64_t pages)
{
    pmt_owner_t *who = owner_of(credits, owner);
    if (pages == 0) {
        return 0;
    }
    credits->pages += pages;
    if (who->credit_last && credits->count >= CREDITS_MAX && credits->list[who->credit_last - 1].pages) {  // one that is used up nobody looks at again
        credits->list[who->credit_last - 1].pages += pages;
        who->credit += pages;
        return 0;
    }
    if (pmt_array_room(&credits->list, credits->count, &credits->room, sizeof *credits->list) < 0) {
        return -ENOMEM;
    }
    credits->list[credits->count++] = (pmt_credit_t){.birth = birth, .pages = pages, .owner = owner, .before = who->credit_last};
    who->credit_last = credits->count;
    who->credit += pages;
    return 0;
}

void
pmt_credits_take(pmt_credits_t *credits, pmt_credit_t *credit, uint64_t pages)
{
    owner_of(credits, credit->owner)->credit -= pages;
    credits->pages -= pages;
    credit->pages -= pages;
}

uint32_t
pmt_credits_until(const pmt_credits_t *credits, uint64_t limit)
{
    uint32_t low = 0, high = credits->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (credits->list[middle].birth <= limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static pmt_credit_t *
of_birth(const pmt_credits_t *credits, uint32_t owner, uint64_t birth)
{
    for (uint32_t i = pmt_credits_until(credits, birth); i > 0 && credits->list[i - 1].birth == birth; i--) {
        if (credits->list[i - 1].owner == owner && credits->list[i - 1].pages) {
            return &credits->list[i - 1];
        }
    }
    return NULL;
}

// Of an owner that has some. Those that are used up are taken out of its way.
static pmt_credit_t *
youngest_of(const pmt_credits_t *credits, uint32_t owner, uint64_t limit)
{
    pmt_credit_t *later = NULL;
    for (uint32_t *link = &owner_of(credits, owner)->credit_last; *link;) {
        pmt_credit_t *credit = &credits->list[*link - 1];
        if (credit->pages == 0) {
            *link = credit->before;
            continue;
        }
        if (credit->birth <= limit) {
            return credit;
        }
        later = credit;
        link = &credit->before;
    }
    return later;
}

static uint64_t
take_some(pmt_credits_t *credits, pmt_credit_t *credit, uint64_t pages)
{
    uint64_t taken = credit->pages < pages ? credit->pages : pages;
    pmt_credits_take(credits, credit, taken);
    return taken;
}

uint64_t
pmt_credits_spend_born(pmt_credits_t *credits, uint32_t owner, uint64_t pages, uint64_t birth)
{
    pmt_credit_t *credit = pages && owner_of(credits, owner)->credit ? of_birth(credits, owner, birth) : NULL;
    return credit ? take_some(credits, credit, pages) : 0;
}

uint64_t
pmt_credits_spend(pmt_credits_t *credits, uint32_t owner, uint64_t limit, uint64_t pages, uint64_t *birth)
{
    if (pages == 0 || owner_of(credits, owner)->credit == 0) {
        return 0;
    }
    pmt_credit_t *credit = of_birth(credits, owner, *birth);
    credit = credit ? credit : youngest_of(credits, owner, limit);
    *birth = credit->birth;
    return take_some(credits, credit, pages);
}

pmt_credit_t *
pmt_credits_youngest(const pmt_credits_t *credits, uint32_t *at)
{
    while (*at && credits->list[*at - 1].pages == 0) {
        --*at;
    }
    return *at ? &credits->list[*at - 1] : NULL;
}

int
pmt_credits_forget(pmt_credits_t *credits, uint64_t limit)
{
    pmt_credits_t old = *credits;
    int err = 0;
    for (uint32_t i = 0; i < old.count; i++) {
        pmt_owner_t *who = owner_of(credits, old.list[i].owner);
        who->credit = 0;
        who->credit_last = 0;
    }
    credits->list = NULL;
    credits->count = credits->room = 0;
    credits->pages = 0;
    for (uint32_t i = 0; i < old.count && !err; i++) {
        if (old.list[i].birth > limit) {
            err = pmt_credits_lend(credits, old.list[i].owner, old.list[i].birth, old.list[i].pages);
        }
    }
    free(old.list);
    return err;
}
