;; Answers with a status beside pass, warn and fail.
(data (i32.const 68) "\63")
