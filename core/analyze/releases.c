// Releases by stack (releases.h).
#include "analyze/releases.h"

#include "format/wire.h"

static void
add_release(pmt_profile_t *profile, const pmt_record_t *r, uint64_t pid, pmt_weight_t *all)
{
    if (pid && profile->processes[profile->threads[r->u.release.thread].process].pid != pid) {
        return;
    }
    all->pages += r->u.release.fell;
    all->faults++;
    pmt_weight_t *self = &((pmt_raw_node_t *)pmt_table_at(&profile->nodes, profile->node_of[r->u.release.node]))->self;
    self->pages += r->u.release.fell;
    self->faults++;
}

int
pmt_releases_read(pmt_profile_t *profile, const char *path, uint64_t pid, pmt_weight_t *all, char error[PMT_ERROR_MAX])
{
    pmt_reader_t *reader;
    pmt_record_t record;
    int err = pmt_profile_reopen(profile, path, &reader, error);
    if (err < 0) {
        return err;
    }
    *all = (pmt_weight_t){0};
    for (uint32_t i = 0; i < profile->nodes.count; i++) {
        ((pmt_raw_node_t *)pmt_table_at(&profile->nodes, i))->self = (pmt_weight_t){0};
    }
    while ((err = pmt_reader_next(reader, &record)) > 0) {
        if (record.type == PMT_WIRE_RELEASE) {
            add_release(profile, &record, pid, all);
        } else if (record.type == PMT_WIRE_NODE && (err = pmt_profile_node(profile, &record)) < 0) {
            break;
        }
    }
    pmt_reader_explain(reader, err, error);
    pmt_reader_close(reader);
    return err;
}
