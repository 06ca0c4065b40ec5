;; A check that does nothing wrong, and the places where a crime is put into it. What a crime defines
;; itself, `crimes.rs` leaves out here.
;;
;; Memory of a crime: the answer of init and cleanup at 32, that of poll at 64, free room from 128 to 32 KiB,
;; and behind that what realloc hands out. All zero means `ok`, a pass with an empty message and no targets.
(component
  (import "aviary:check/types@0.1.0" (instance $types
    (type $status' (enum "pass" "warn" "fail"))
    (export "status" (type $status (eq $status')))
    (type $target' (record (field "name" string) (field "status" $status) (field "message" string)
      (field "labels" (list (tuple string string)))))
    (export "target" (type $target (eq $target')))
    (type $outcome' (record (field "status" $status) (field "message" string) (field "targets" (list $target))))
    (export "outcome" (type $outcome (eq $outcome')))))
  (alias export $types "outcome" (type $outcome))

  (core module $room
    {room})
  (core instance $room (instantiate $room))
  (alias core export $room "memory" (core memory $memory))
  (alias core export $room "realloc" (core func $realloc))

  {imports}

  (core module $crime
    (import "room" "memory" (memory 1))
    {core})
  (core instance $crime (instantiate $crime (with "room" (instance $room)) (with "host" (instance $host))))

  {lifts}

  (instance $lifecycle
    (export "init" (func $init))
    (export "poll" (func $poll))
    (export "cleanup" (func $cleanup)))
  (export "aviary:check/lifecycle@0.1.0" (instance $lifecycle)))
