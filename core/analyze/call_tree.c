// The call tree (call_tree.h). A frame's mark is its node; it stands for no row, as a node is on a stack only once.
#include "analyze/call_tree.h"

#include "format/wire.h"

#define NO_NODE UINT32_MAX

int
pmt_call_tree_init(pmt_call_tree_t *tree, uint32_t nodes_max)
{
    pmt_call_node_t root = {.parent = UINT32_MAX};
    *tree = (pmt_call_tree_t){.nodes_max = nodes_max};
    pmt_table_init(&tree->nodes, sizeof root, PMT_CALL_NODE_KEY);
    return pmt_table_add(&tree->nodes, &root) == 0 ? 0 : -ENOMEM;
}

void
pmt_call_tree_fini(pmt_call_tree_t *tree)
{
    pmt_stacks_fini(&tree->stacks);
    pmt_table_fini(&tree->nodes);
}

int
pmt_call_tree_add_thread(pmt_call_tree_t *tree, uint32_t process, bool idle)
{
    return pmt_stacks_add_thread(&tree->stacks, process, idle);
}

static pmt_call_node_t *
node_at(pmt_call_tree_t *tree, uint32_t number)
{
    return (pmt_call_node_t *)tree->nodes.elements + number;
}

// The node of a function below `parent`; -1: there is no room for it.
static int64_t
child_of(pmt_call_tree_t *tree, uint32_t parent, uint32_t process, uint32_t code)
{
    if (parent == NO_NODE) {
        return -1;
    }
    uint32_t recent = node_at(tree, parent)->recent;
    if (recent && node_at(tree, recent)->code == code && node_at(tree, recent)->process == process) {
        return recent;
    }
    pmt_call_node_t node = {.parent = parent, .process = process, .code = code};
    int64_t number = tree->nodes.count < tree->nodes_max ? pmt_table_add(&tree->nodes, &node) : pmt_table_find(&tree->nodes, &node);
    if (number > 0) {
        node_at(tree, parent)->recent = (uint32_t)number;
    }
    return number;
}

// The node that a thread's outermost functions are below.
static int64_t
base_of(pmt_call_tree_t *tree, const pmt_stacks_thread_t *thread)
{
    return tree->by_thread ? child_of(tree, 0, (uint32_t)(thread - tree->stacks.threads), PMT_CALL_THREAD) : 0;
}

static int
begin(pmt_call_tree_t *tree, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    const pmt_stacks_frame_t *top = pmt_stacks_top(thread);
    bool called = event->kind == PMT_WIRE_CALL || event->kind == PMT_WIRE_C_CALL;
    int64_t parent = top ? top->mark : base_of(tree, thread);
    int64_t number = parent == -ENOMEM ? -ENOMEM : child_of(tree, parent < 0 ? NO_NODE : (uint32_t)parent, thread->process, event->code);
    if (number == -ENOMEM) {
        return -ENOMEM;
    }
    if (number < 0) {
        tree->left_out += called;
    } else {
        node_at(tree, (uint32_t)number)->calls += called;
    }
    int err = pmt_stacks_push(&tree->stacks, thread, PMT_STACKS_NO_ROW);
    if (!err) {
        pmt_stacks_top(thread)->mark = number < 0 ? NO_NODE : (uint32_t)number;
    }
    return err;
}

static void
end(pmt_call_tree_t *tree, pmt_stacks_thread_t *thread)
{
    uint32_t number = pmt_stacks_top(thread)->mark;
    pmt_span_t span = pmt_stacks_stop(thread);
    if (number != NO_NODE) {
        pmt_call_node_t *node = node_at(tree, number);
        node->time += span.time;
        node->growth += span.rises;
        node->release += span.falls;
        node->touched += span.touched;
    }
    pmt_stacks_pop(&tree->stacks, thread);
}

static int
one_event(pmt_call_tree_t *tree, pmt_stacks_thread_t *thread, const pmt_trace_event_t *event)
{
    if (event->rss != thread->rss) {
        pmt_stacks_rss(thread, event->rss);
    }
    thread->now.time = event->time;
    switch (event->kind) {
    case PMT_WIRE_LINE:
    case PMT_WIRE_RSS:
        return 0;
    case PMT_WIRE_CALL:
    case PMT_WIRE_RESUME:
    case PMT_WIRE_THROW:
    case PMT_WIRE_C_CALL:
    case PMT_WIRE_OPEN:
        return begin(tree, thread, event);
    default:
        for (uint32_t n = event->kind == PMT_WIRE_DROP ? event->value : 1; n > 0; n--) {
            end(tree, thread);
        }
        return 0;
    }
}

int
pmt_call_tree_events(pmt_call_tree_t *tree, uint32_t number, const pmt_trace_event_t *events, uint32_t count)
{
    pmt_stacks_thread_t *thread = &tree->stacks.threads[number];
    int err = 0;
    for (uint32_t i = 0; i < count && !thread->idle && !err; i++) {
        err = one_event(tree, thread, &events[i]);
    }
    return err;
}

void
pmt_call_tree_fault(pmt_call_tree_t *tree, uint32_t number, uint64_t pages, int64_t rss)
{
    pmt_stacks_thread_t *thread = &tree->stacks.threads[number];
    if (thread->idle) {
        return;
    }
    if (rss && rss != thread->rss) {
        pmt_stacks_rss(thread, rss);
    }
    thread->now.touched += pages;
}

void
pmt_call_tree_end(pmt_call_tree_t *tree)
{
    for (uint32_t i = 0; i < tree->stacks.count; i++) {
        while (tree->stacks.threads[i].stack) {
            end(tree, &tree->stacks.threads[i]);
        }
    }
    for (uint32_t i = tree->nodes.count; i-- > 1;) {  // children before their parents
        const pmt_call_node_t *node = node_at(tree, i);
        pmt_call_node_t *parent = node_at(tree, node->parent);
        if (node->parent == 0 || (tree->by_thread && parent->parent == 0)) {
            parent->time += node->time;
            parent->growth += node->growth;
            parent->release += node->release;
            parent->touched += node->touched;
        }
    }
}
