;; Answers well, and loops when the answer has been read.
(func (export "done") (param i32) (loop $for_ever (br $for_ever)))
