// Traces for the tests of ownership (owners_support.h).
#include "owners_support.h"

#include <string.h>
#include <unistd.h>

#include "analyze/moment.h"
#include "base/varint.h"
#include "format/wire.h"
#include "support.h"

static int file;
pmt_writer_t *writer;
pmt_profile_t profile;
pmt_owners_t owners;
uint64_t last_time, last_page;

int
new_trace(void **state)
{
    writer = pmt_test_writer(&file);
    last_time = last_page = 0;
    pmt_writer_process(writer, 1, 0, 0);
    pmt_writer_thread(writer, 0, 1, 0, "main", 4);
    pmt_writer_batch(writer, 0);
    pmt_writer_node(writer, 1, PMT_CODE_ROOT, 0);
    pmt_writer_node(writer, 1, 1, 0);
    pmt_writer_node(writer, 2, 2, 0);
    return 0;
}

int
free_trace(void **state)
{
    pmt_writer_free(writer);
    close(file);
    return 0;
}

// ---- writing ----

void
put_flagged(uint32_t node, uint64_t time, uint64_t page, uint64_t rise, unsigned flags)
{
    int64_t address = ((int64_t)page - (int64_t)last_page) * PMT_TEST_PAGE;
    pmt_writer_fault(writer, &(pmt_fault_fields_t){.flags = flags, .time = (int64_t)(time - last_time), .address = address, .rise = rise, .node = node, .period = 1});
    last_time = time;
    last_page = page;
}

// One that stands for so many faults.
void
put_signal(uint32_t node, uint64_t time, uint64_t page, uint64_t rise, uint32_t faults)
{
    pmt_writer_weight(writer, faults);
    put_fault(node, time, page, rise);
    pmt_writer_weight(writer, 1);
}

void
put_fault(uint32_t node, uint64_t time, uint64_t page, uint64_t rise)
{
    put_flagged(node, time, page, rise, 0);
}

void
put_snapshot(uint64_t time, unsigned kind, uint64_t since)
{
    pmt_writer_snapshot(writer, 0, time, kind, since, "", 0);
    pmt_writer_region(writer, 0, BASE, 4096, PMT_REGION_ANON, "");
}

// Runs as pairs of pages and state, looked at at once.
void
put_resident(uint64_t time, uint64_t first, const uint64_t (*runs)[2], size_t count)
{
    uint8_t bytes[256], *at = bytes;
    for (size_t i = 0; i < count; i++) {
        at = pmt_varint_put(at, runs[i][0] << PMT_RESIDENT_BITS | runs[i][1]);
    }
    pmt_writer_resident(writer, 0, time, first, bytes, (size_t)(at - bytes));
}

// With so many pages of RSS.
void
end_snapshot_with(uint64_t time, uint64_t pages)
{
    pmt_writer_snapshot_end(writer, 0, time, 0, (const uint64_t[]){4 * pages, 0, 0, 0}, 0);
}

void
end_snapshot(uint64_t time)
{
    end_snapshot_with(time, 100);
}

// ---- looking ----

void
look(uint64_t time)
{
    static uint64_t moment;
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX];
    moment = time;
    assert_int_equal(pmt_writer_flush(writer), 0);
    assert_int_equal(pmt_profile_read(&profile, pmt_test_path(file, path), 0, error), 0);
    assert_int_equal(pmt_owners_read(&owners, &profile, pmt_test_path(file, path), &moment, 1, error), 0);
    pmt_owners_fill(&owners, &profile, 0, 0);
}

void
done(void)
{
    pmt_owners_fini(&owners);
    pmt_profile_fini(&profile);
}

// What a stack holds, in all and by time; the node's number in the file.
uint64_t
pages_of(uint32_t node)
{
    return ((pmt_raw_node_t *)pmt_table_at(&profile.nodes, profile.node_of[node]))->self.pages;
}

void
assert_held(uint64_t time, uint64_t first, uint64_t second, int64_t exact, int64_t fill, int64_t by_time)
{
    look(time);
    const pmt_held_t *held = pmt_owners_held(&owners, 0, 0);
    assert_int_equal(pages_of(FIRST), first);
    assert_int_equal(pages_of(SECOND), second);
    assert_int_equal(held->pages[PMT_HELD_EXACT], exact);
    assert_int_equal(held->pages[PMT_HELD_FILL], fill);
    assert_int_equal(held->pages[PMT_HELD_BY_TIME], by_time);
    done();
}

void
assert_kind(uint64_t time, enum pmt_held_e kind, int64_t pages)
{
    look(time);
    assert_int_equal(pmt_owners_held(&owners, 0, 0)->pages[kind], pages);
    done();
}
