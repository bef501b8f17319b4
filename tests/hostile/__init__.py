"""Files and options from outside that are damaged, hostile or clumsy: tables of cases over every reader."""
