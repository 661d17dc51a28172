// The texts of the page that `mvar explain` makes, as they were when the package was built.

#ifndef PAGE_TEXT_H
#define PAGE_TEXT_H

#include <stddef.h>

/// The page without style sheet, scripts and data; marks stand in their places.
const char *page_html(void);

/// The style sheet.
const char *page_style(void);

/// The script at an index, in the order in which the page has them; null past the last.
const char *page_script_at(size_t index);

#endif
