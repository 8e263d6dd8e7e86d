// C functions and types as events name them (hooks.h): by what they are made of, so that bound and unbound methods are the same. Called in hooks: nothing here runs
// Python code.
#include "hooks.h"

#include <stddef.h>
#include <string.h>

#include "capture/event.h"
#include "capture/lane_inline.h"
#include "frames.h"

typedef struct callee_s {
    uint64_t key;
    uint32_t check;
    PyObject *thing;  // borrowed: what is described
} callee_t;

// ---- identity ----

// Two types that follow one another at an address differ in their names, if in anything that is shown.
static uint32_t
check_of_type(const PyTypeObject *type)
{
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return 1;
    }
    PyObject *name = ((const PyHeapTypeObject *)type)->ht_qualname;
    return name && PyUnicode_CheckExact(name) ? (uint32_t)PyObject_Hash(name) | 1 : 1;
}

static uint32_t
check_of_method(const PyMethodDef *method)
{
    uint64_t mixed = (uint64_t)(uintptr_t)method->ml_name ^ (uint64_t)(uintptr_t)method->ml_meth << 20;
    return (uint32_t)(mixed ^ mixed >> 32) | 1;
}

static callee_t
type_itself(PyTypeObject *type)
{
    return (callee_t){(uintptr_t)type, check_of_type(type), (PyObject *)type};
}

// The same object for each call of the method, bound or not; NULL: it is none.
static PyObject *
wrapper_of(PyObject *callable)
{
    if (pmt_compat_is_method_wrapper(callable)) {
        return pmt_compat_method_wrapper_descriptor(callable);
    }
    return Py_TYPE(callable) == &PyWrapperDescr_Type ? callable : NULL;
}

// The descriptor of a text attribute that C code keeps in objects of a type: borrowed, NULL if there is none.
static PyObject *
text_descriptor(const PyTypeObject *type, const char *name)
{
    PyObject *bases = type->tp_mro;  // borrowed
    for (Py_ssize_t i = 0; bases && i < PyTuple_GET_SIZE(bases); i++) {
        PyObject *dict = ((PyTypeObject *)PyTuple_GET_ITEM(bases, i))->tp_dict;
        PyObject *found = dict ? PyDict_GetItemString(dict, name) : NULL;  // borrowed
        if (found && (Py_IS_TYPE(found, &PyGetSetDescr_Type) || Py_IS_TYPE(found, &PyMemberDescr_Type))) {
            return found;
        }
    }
    return NULL;
}

static PyObject *
name_descriptor(const PyTypeObject *type)
{
    PyObject *descriptor = text_descriptor(type, "__qualname__");
    return descriptor ? descriptor : text_descriptor(type, "__name__");
}

// Whether objects of the type have names of their own: functions made by Cython, numpy's ufuncs. Asked at each of their calls.
static bool
names_its_objects(const PyTypeObject *type)
{
    static struct {
        const PyTypeObject *type;
        const char *name;
        bool does;
    } known[16];
    size_t at = ((uintptr_t)type >> 6) % PMT_COUNT(known);
    if (known[at].type != type || known[at].name != type->tp_name) {
        known[at].type = type;
        known[at].name = type->tp_name;
        known[at].does = name_descriptor(type) != NULL;
    }
    return known[at].does;
}

static callee_t
identify(PyObject *callable)
{
    if (PyMethod_Check(callable)) {
        callable = PyMethod_GET_FUNCTION(callable);
    }
    if (PyCFunction_Check(callable)) {
        const PyMethodDef *method = ((PyCFunctionObject *)callable)->m_ml;
        PyObject *self = ((PyCFunctionObject *)callable)->m_self;
        // A method of types is shared by them all: object.__new__, the class methods.
        uintptr_t key = self && PyType_Check(self) ? ((uintptr_t)self ^ (uintptr_t)method << 16) | 1 : (uintptr_t)method;
        return (callee_t){key, check_of_method(method), callable};
    }
    if (Py_IS_TYPE(callable, &PyMethodDescr_Type) || Py_IS_TYPE(callable, &PyClassMethodDescr_Type)) {
        const PyMethodDef *method = ((PyMethodDescrObject *)callable)->d_method;
        return (callee_t){(uintptr_t)method, check_of_method(method), callable};
    }
    if (PyType_Check(callable)) {
        return type_itself((PyTypeObject *)callable);
    }
    PyObject *wrapper = wrapper_of(callable);
    if (wrapper) {
        return (callee_t){(uintptr_t)wrapper, check_of_type(((PyWrapperDescrObject *)wrapper)->d_common.d_type) ^ 2, wrapper};
    }
    callee_t called = type_itself(Py_TYPE(callable));  // an object that can be called
    called.key = names_its_objects(Py_TYPE(callable)) ? (uintptr_t)callable : called.key | 2;
    called.thing = callable;
    return called;
}

// ---- names ----

static void
add_bytes(char *out, uint32_t *size, size_t room, const char *text, size_t length)
{
    length = length < room - *size ? length : room - *size;
    memcpy(out + *size, text, length);
    *size += (uint32_t)length;
}

static void
add_name(pmt_code_info_t *out, const char *text)
{
    add_bytes(out->name, &out->name_size, sizeof out->name, text, strlen(text));
}

static const char *
static_name(const PyTypeObject *type, size_t *module_size)
{
    const char *dot = strrchr(type->tp_name, '.');
    *module_size = dot ? (size_t)(dot - type->tp_name) : 0;
    return dot ? dot + 1 : type->tp_name;
}

static void
add_type(pmt_code_info_t *out, const PyTypeObject *type)
{
    size_t module_size;
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        PyObject *name = ((const PyHeapTypeObject *)type)->ht_qualname;
        out->name_size += pmt_python_text(name, out->name + out->name_size, sizeof out->name - out->name_size);
    } else {
        add_name(out, static_name(type, &module_size));
    }
}

// `module`: a str, or anything else where it is not known.
static void
set_module(pmt_code_info_t *out, PyObject *module, const char *otherwise, size_t size)
{
    enum { ROOM = sizeof out->file - 1 };
    out->file[0] = '<';
    out->file_size = 1;
    if (module && PyUnicode_Check(module)) {
        out->file_size += pmt_python_text(module, out->file + 1, ROOM - 1);
    } else {
        add_bytes(out->file, &out->file_size, ROOM, otherwise, size);
    }
    add_bytes(out->file, &out->file_size, sizeof out->file, ">", 1);
    if (out->file_size == 2) {
        out->file_size = 0;
    }
}

static void
set_module_of_type(pmt_code_info_t *out, const PyTypeObject *type)
{
    size_t size = 0;
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        set_module(out, type->tp_dict ? PyDict_GetItemString(type->tp_dict, "__module__") : NULL, "", 0);
        return;
    }
    static_name(type, &size);
    set_module(out, NULL, size ? type->tp_name : "builtins", size ? size : strlen("builtins"));
}

// The type among `type` and its bases that has the method; NULL: none.
static const PyTypeObject *
type_with(const PyTypeObject *type, const PyMethodDef *method)
{
    PyObject *bases = type->tp_mro;  // borrowed
    for (Py_ssize_t i = 0; bases && i < PyTuple_GET_SIZE(bases); i++) {
        const PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(bases, i);
        for (const PyMethodDef *known = base->tp_methods; known && known->ml_name; known++) {
            if (known == method) {
                return base;
            }
        }
    }
    return NULL;
}

static void
describe_method(pmt_code_info_t *out, const PyTypeObject *type, const char *name)
{
    add_type(out, type);
    add_name(out, ".");
    add_name(out, name);
    set_module_of_type(out, type);
}

static void
describe_function(pmt_code_info_t *out, const PyCFunctionObject *function)
{
    PyObject *self = function->m_self;
    if (!self || PyModule_Check(self)) {
        add_name(out, function->m_ml->ml_name);
        set_module(out, function->m_module, "", 0);
        return;
    }
    const PyTypeObject *type = PyType_Check(self) ? type_with((PyTypeObject *)self, function->m_ml) : NULL;
    type = type ? type : type_with(Py_TYPE(self), function->m_ml);
    type = type ? type : PyType_Check(self) ? (PyTypeObject *)self : Py_TYPE(self);
    describe_method(out, type, function->m_ml->ml_name);
}

// A new reference, or NULL.
static PyObject *
text_of(PyObject *object, PyObject *descriptor)
{
    PyObject *text = NULL;
    if (descriptor && Py_IS_TYPE(descriptor, &PyGetSetDescr_Type)) {
        const PyGetSetDef *getter = ((PyGetSetDescrObject *)descriptor)->d_getset;
        text = getter->get ? getter->get(object, getter->closure) : NULL;
    } else if (descriptor) {
        text = PyMember_GetOne((const char *)object, ((PyMemberDescrObject *)descriptor)->d_member);
    }
    if (!text || !PyUnicode_Check(text)) {
        PyErr_Clear();
        Py_CLEAR(text);
    }
    return text;
}

static void
describe_object(pmt_code_info_t *out, PyObject *object)
{
    const PyTypeObject *type = Py_TYPE(object);
    PyObject *name = text_of(object, name_descriptor(type)), *module = text_of(object, text_descriptor(type, "__module__"));
    if (name) {
        out->name_size = pmt_python_text(name, out->name, sizeof out->name);
    } else {
        describe_method(out, type, "__call__");
    }
    if (module) {
        set_module(out, module, "", 0);
    } else {
        set_module_of_type(out, type);
    }
    Py_XDECREF(name);
    Py_XDECREF(module);
}

static void
describe(uint64_t thing, pmt_code_info_t *out)
{
    PyObject *callable = (PyObject *)(uintptr_t)thing;
    out->first_line = out->file_size = out->name_size = 0;
    out->lines = NULL;
    out->lines_size = 0;
    if (PyCFunction_Check(callable)) {
        describe_function(out, (PyCFunctionObject *)callable);
    } else if (PyType_Check(callable)) {
        add_type(out, (PyTypeObject *)callable);
        set_module_of_type(out, (PyTypeObject *)callable);
    } else if (Py_IS_TYPE(callable, &PyMethodDescr_Type) || Py_IS_TYPE(callable, &PyClassMethodDescr_Type)) {
        describe_method(out, ((PyDescrObject *)callable)->d_type, ((PyMethodDescrObject *)callable)->d_method->ml_name);
    } else if (Py_IS_TYPE(callable, &PyWrapperDescr_Type)) {
        describe_method(out, ((PyDescrObject *)callable)->d_type, ((PyWrapperDescrObject *)callable)->d_base->name);
    } else {
        describe_object(out, callable);
    }
}

// ---- ids ----

static uint32_t
id_of(callee_t callee)
{
    uint32_t id = pmt_code_table_find_sigsafe(&pmt_session.codes, callee.key, callee.check) & PMT_CODE_ID;
    if (PMT_UNLIKELY(!id)) {
        id = pmt_event_define(callee.key, callee.check, describe, (uintptr_t)callee.thing) & PMT_CODE_ID;
    }
    return PMT_LIKELY(id <= PMT_LANE_PAYLOAD_MAX) ? id : 0;
}

uint32_t
pmt_callee_id(PyObject *callable)
{
    return id_of(identify(callable));
}

uint32_t
pmt_type_id(PyTypeObject *type)
{
    return id_of(type_itself(type));
}
