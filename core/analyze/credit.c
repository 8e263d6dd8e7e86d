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
    free(credits->doubts);
    credits->list = NULL;
    credits->doubts = NULL;
    credits->count = credits->room = credits->doubt_count = credits->doubt_room = 0;
}

int
pmt_credits_lend(pmt_credits_t *credits, uint32_t owner, uint64_t birth, uint64_t pages)
{
    pmt_owner_t *who = owner_of(credits, owner);
    if (pages == 0) {
        return 0;
    }
    credits->pages += pages;
    if (who->credit_last && credits->count >= CREDITS_MAX) {
        credits->list[who->credit_last - 1].pages += pages;
        who->credit += pages;
        return 0;
    }
    if (pmt_array_room(&credits->list, credits->count, &credits->room, sizeof *credits->list) < 0) {
        return -ENOMEM;
    }
    credits->list[credits->count++] = (pmt_credit_t){.birth = birth, .pages = pages, .owner = owner};
    if (who->credit_last) {
        credits->list[who->credit_last - 1].next = credits->count;
    } else {
        who->credit_first = credits->count;
    }
    who->credit_last = credits->count;
    who->credit += pages;
    return 0;
}

static uint64_t
spend_doubts(pmt_credits_t *credits, pmt_owner_t *who, uint64_t pages)
{
    uint64_t spent = 0;
    while (spent < pages && who->doubt_last) {
        pmt_doubt_t *doubt = &credits->doubts[who->doubt_last - 1];
        uint64_t taken = doubt->pages < pages - spent ? doubt->pages : pages - spent;
        doubt->pages -= taken;
        spent += taken;
        if (doubt->pages == 0) {
            who->doubt_last = doubt->before;
        }
    }
    return spent;
}

static uint64_t
spend_credit(pmt_credits_t *credits, pmt_owner_t *who, uint64_t pages)
{
    pages = pages < who->credit ? pages : who->credit;
    const uint64_t spent = pages;
    who->credit -= pages;
    credits->pages -= pages;
    while (pages && who->credit_first) {
        pmt_credit_t *credit = &credits->list[who->credit_first - 1];
        uint64_t taken = credit->pages < pages ? credit->pages : pages;
        credit->pages -= taken;
        pages -= taken;
        if (credit->pages == 0) {
            who->credit_first = credit->next;
            who->credit_last = credit->next ? who->credit_last : 0;
        }
    }
    return spent;
}

uint64_t
pmt_credits_spend(pmt_credits_t *credits, uint32_t owner, uint64_t pages)
{
    pmt_owner_t *who = owner_of(credits, owner);
    uint64_t spent = spend_credit(credits, who, pages);
    return spent + spend_doubts(credits, who, pages - spent);
}

int
pmt_credits_doubt(pmt_credits_t *credits, const pmt_credit_t *credit, uint64_t pages, uint64_t death)
{
    pmt_owner_t *who = owner_of(credits, credit->owner);
    if (pmt_array_room(&credits->doubts, credits->doubt_count, &credits->doubt_room, sizeof *credits->doubts) < 0) {
        return -ENOMEM;
    }
    credits->doubts[credits->doubt_count++] = (pmt_doubt_t){.birth = credit->birth, .death = death, .pages = pages, .owner = credit->owner, .before = who->doubt_last};
    who->doubt_last = credits->doubt_count;
    spend_credit(credits, who, pages);
    return 0;
}

const pmt_doubt_t *
pmt_credits_latest_doubt(pmt_credits_t *credits)
{
    while (credits->doubt_count && credits->doubts[credits->doubt_count - 1].pages == 0) {
        credits->doubt_count--;
    }
    return credits->doubt_count ? &credits->doubts[credits->doubt_count - 1] : NULL;
}

void
pmt_credits_believe(pmt_credits_t *credits, uint64_t pages)
{
    const pmt_doubt_t *doubt = pmt_credits_latest_doubt(credits);
    if (doubt) {
        spend_doubts(credits, owner_of(credits, doubt->owner), pages);
    }
}

void
pmt_credits_forget_doubts(pmt_credits_t *credits)
{
    for (uint32_t i = 0; i < credits->doubt_count; i++) {
        owner_of(credits, credits->doubts[i].owner)->doubt_last = 0;
    }
    credits->doubt_count = 0;
}

pmt_credit_t *
pmt_credits_oldest(pmt_credits_t *credits, uint32_t *at, uint64_t limit)
{
    while (credits->first < credits->count && credits->list[credits->first].pages == 0) {
        credits->first++;
    }
    *at = *at > credits->first ? *at : credits->first;
    while (*at < credits->count && credits->list[*at].pages == 0) {
        ++*at;
    }
    return *at < credits->count && credits->list[*at].birth <= limit ? &credits->list[*at] : NULL;
}

int
pmt_credits_forget(pmt_credits_t *credits, uint64_t limit)
{
    pmt_credits_t old = *credits;
    int err = 0;
    for (uint32_t i = 0; i < old.count; i++) {
        pmt_owner_t *who = owner_of(credits, old.list[i].owner);
        who->credit = 0;
        who->credit_first = who->credit_last = 0;
    }
    credits->list = NULL;
    credits->count = credits->room = credits->first = 0;
    credits->pages = 0;
    for (uint32_t i = 0; i < old.count && !err; i++) {
        if (old.list[i].birth > limit) {
            err = pmt_credits_lend(credits, old.list[i].owner, old.list[i].birth, old.list[i].pages);
        }
    }
    free(old.list);
    return err;
}
