// The texts of the page that `mvar explain` makes, embedded: the compiler copies the files themselves, so only this list
// of them has to be kept up to date.

#include "PageText.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char html[] = {
#embed "page.html" suffix(, 0)
};

static const char style[] = {
#embed "page.css" suffix(, 0)
};

static const char *const scripts[] = {
(const char[]){
#embed "data.js" suffix(, 0)
},
(const char[]){
#embed "candidates.js" suffix(, 0)
},
(const char[]){
#embed "attention.js" suffix(, 0)
},
(const char[]){
#embed "counts.js" suffix(, 0)
},
(const char[]){
#embed "drawing.js" suffix(, 0)
},
(const char[]){
#embed "scale-view.js" suffix(, 0)
},
(const char[]){
#embed "token-view.js" suffix(, 0)
},
(const char[]){
#embed "attention-view.js" suffix(, 0)
},
(const char[]){
#embed "cost-view.js" suffix(, 0)
},
(const char[]){
#embed "page.js" suffix(, 0)
},
(const char[]){
#embed "selftest.js" suffix(, 0)
},
};

const char *page_html(void) { return html; }

const char *page_style(void) { return style; }

const char *page_script_at(size_t index) {
  return index < sizeof scripts / sizeof *scripts ? scripts[index] : 0;
}
