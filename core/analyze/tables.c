// Building the tables (tables.h).
#include "analyze/tables.h"

#include <errno.h>
#include <stdlib.h>

#include "analyze/offsets.h"
#include "format/wire.h"

typedef struct build_s {
    pmt_tables_t *tables;
    pmt_profile_t *profile;
    pmt_table_t offsets;  // pmt_offset_t
    uint32_t no_text, elided_text;
    uint32_t *function_of, *file_of;  // row of `lines` -> row of `functions`, `files`
} build_t;

static pmt_tree_node_t *
tree_node(const pmt_tables_t *tables, uint32_t number)
{
    return pmt_table_at(&tables->tree, number);
}

static pmt_row_t *
row(const pmt_table_t *table, uint32_t number)
{
    return pmt_table_at(table, number);
}

static void
add_weight(pmt_weight_t *to, const pmt_weight_t *weight)
{
    to->pages += weight->pages;
    to->faults += weight->faults;
    to->by_time += weight->by_time;
    to->fill += weight->fill;
}

static pmt_frame_name_t
name_frame(const build_t *build, const pmt_raw_node_t *node)
{
    if (node->code == PMT_CODE_ELIDED) {
        return (pmt_frame_name_t){.file = build->no_text, .name = build->elided_text};
    }
    const pmt_code_t *code = pmt_profile_code(build->profile, node->process, node->code);
    if (!code || !code->named) {
        return (pmt_frame_name_t){.file = build->no_text, .name = build->no_text};
    }
    return (pmt_frame_name_t){
        .file = code->file,
        .name = code->name,
        .first_line = code->first_line,
        .line = pmt_offsets_line(&build->offsets, node),
    };
}

// The call tree: recorded nodes whose frames have one name and line below one parent become one node. Process roots become the root.
static int
build_tree(build_t *build)
{
    const pmt_table_t *nodes = &build->profile->nodes;
    pmt_tables_t *tables = build->tables;
    uint32_t *tree_of = tables->tree_of = malloc((nodes->count + 1) * sizeof *tree_of);
    pmt_tree_node_t root = {.parent = UINT32_MAX, .frame = UINT32_MAX};
    int64_t number = pmt_table_add(&tables->tree, &root);
    for (uint32_t i = 0; tree_of && i < nodes->count && number >= 0; i++) {
        const pmt_raw_node_t *node = pmt_table_at(nodes, i);
        number = 0;
        if (node->code != PMT_CODE_ROOT) {
            pmt_row_t line = {.key = name_frame(build, node)};
            number = pmt_table_add(&tables->lines, &line);
            pmt_tree_node_t below = {.parent = tree_of[node->parent], .frame = (uint32_t)number};
            number = number < 0 ? number : pmt_table_add(&tables->tree, &below);
        }
        if (number >= 0) {
            tree_of[i] = (uint32_t)number;
            add_weight(&tree_node(tables, (uint32_t)number)->self, &node->self);
        }
    }
    return !tree_of || number < 0 ? -ENOMEM : 0;
}

static int
name_rows(build_t *build)
{
    pmt_tables_t *tables = build->tables;
    uint32_t count = tables->lines.count;
    build->function_of = malloc((count + 1) * sizeof *build->function_of);
    build->file_of = malloc((count + 1) * sizeof *build->file_of);
    if (!build->function_of || !build->file_of) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        pmt_row_t function = {.key = row(&tables->lines, i)->key};
        function.key.line = 0;
        pmt_row_t file = {.key = {.file = function.key.file}};
        int64_t function_row = pmt_table_add(&tables->functions, &function), file_row = pmt_table_add(&tables->files, &file);
        if (function_row < 0 || file_row < 0) {
            return -ENOMEM;
        }
        build->function_of[i] = (uint32_t)function_row;
        build->file_of[i] = (uint32_t)file_row;
    }
    return 0;
}

static void
sum_totals(pmt_tables_t *tables)
{
    for (uint32_t i = tables->tree.count; i-- > 0;) {
        pmt_tree_node_t *node = tree_node(tables, i);
        node->total += node->self.pages;
        if (node->parent != UINT32_MAX) {
            tree_node(tables, node->parent)->total += node->total;
        }
    }
}

// A key counts a subtree when it is entered and not already on the path from the root.
static void
enter(pmt_row_t *row, const pmt_tree_node_t *node)
{
    add_weight(&row->self, &node->self);
    if (row->active++ == 0) {
        row->total += node->total;
    }
}

// Walks the tree depth first without recursion: stacks may be thousands of frames deep.
static int
sum_rows(build_t *build)
{
    pmt_tables_t *tables = build->tables;
    uint32_t count = tables->tree.count;
    uint32_t *child = calloc(count + 1, sizeof *child), *sibling = calloc(count + 1, sizeof *sibling);  // 0: none, the root is nobody's child
    for (uint32_t i = count; child && sibling && i-- > 1;) {
        uint32_t parent = tree_node(tables, i)->parent;
        sibling[i] = child[parent];
        child[parent] = i;
    }
    for (uint32_t at = child && sibling ? child[0] : 0; at != 0;) {
        const pmt_tree_node_t *node = tree_node(tables, at);
        pmt_row_t *rows[] = {row(&tables->lines, node->frame), row(&tables->functions, build->function_of[node->frame]),
                             row(&tables->files, build->file_of[node->frame])};
        for (int i = 0; i < 3; i++) {
            enter(rows[i], node);
        }
        if (child[at]) {
            at = child[at];
            continue;
        }
        for (;; at = node->parent) {  // leave until there is a sibling
            node = tree_node(tables, at);
            if (at == 0) {
                break;
            }
            row(&tables->lines, node->frame)->active--;
            row(&tables->functions, build->function_of[node->frame])->active--;
            row(&tables->files, build->file_of[node->frame])->active--;
            if (sibling[at]) {
                at = sibling[at];
                break;
            }
        }
    }
    int err = child && sibling ? 0 : -ENOMEM;
    free(child);
    free(sibling);
    return err;
}

int
pmt_tables_build(pmt_tables_t *tables, pmt_profile_t *profile)
{
    static const char elided[] = "[frames left out]";
    build_t build = {.tables = tables, .profile = profile};
    tables->tree_of = NULL;
    pmt_table_init(&tables->lines, sizeof(pmt_row_t), sizeof(pmt_frame_name_t));
    pmt_table_init(&tables->functions, sizeof(pmt_row_t), sizeof(pmt_frame_name_t));
    pmt_table_init(&tables->files, sizeof(pmt_row_t), sizeof(pmt_frame_name_t));
    pmt_table_init(&tables->tree, sizeof(pmt_tree_node_t), PMT_TREE_KEY);
    tables->tree_of = NULL;
    pmt_table_init(&build.offsets, sizeof(pmt_offset_t), PMT_OFFSET_KEY);
    int64_t no_text = pmt_texts_add(&profile->texts, "", 0), elided_text = pmt_texts_add(&profile->texts, elided, sizeof elided - 1);
    int err = no_text < 0 || elided_text < 0 ? -ENOMEM : 0;
    build.no_text = (uint32_t)no_text;
    build.elided_text = (uint32_t)elided_text;
    err = err ? err : pmt_offsets_resolve(&build.offsets, profile);
    err = err ? err : build_tree(&build);
    err = err ? err : name_rows(&build);
    if (!err) {
        sum_totals(tables);
        err = sum_rows(&build);
    }
    pmt_table_fini(&build.offsets);
    free(build.function_of);
    free(build.file_of);
    return err;
}

void
pmt_tables_fini(pmt_tables_t *tables)
{
    pmt_table_fini(&tables->lines);
    pmt_table_fini(&tables->functions);
    pmt_table_fini(&tables->files);
    pmt_table_fini(&tables->tree);
    free(tables->tree_of);
    tables->tree_of = NULL;
}
