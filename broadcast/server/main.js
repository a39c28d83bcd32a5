// Server sends the time of day to all on a network.
//
//	node broadcast/server/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, interval, count } = parseArgs({ options: {
  addr: { type: 'string', default: '127.255.255.255:8080' },
  interval: { type: 'string', default: '1s' },
  count: { type: 'string', default: '0' }
} }).values
const [host, port] = addr.split(':')

const socket = dgram.createSocket('udp4')
let timer
socket.bind(() => {
  socket.setBroadcast(true) // without it a send fails with EACCES; before bind, this does with EBADF
  console.log(`sending to ${addr} from ${socket.address().address}:${socket.address().port}`)
  send()
  timer = setInterval(send, ms(interval))
})

let sent = 0
function send () {
  const data = Buffer.from(new Date().toLocaleString('sv')) // Sweden writes 2006-01-02 15:04:05
  socket.send(data, 0, data.length, +port, host, (err) => {
    if (err) return fail(err)
    console.log(`sent ${data.length} bytes: "${data}"`)
    if (++sent === +count) close()
  })
}

function fail (err) {
  console.error(`server: ${err.message}`)
  process.exitCode = 1
  close()
}

function close (then) {
  clearInterval(timer)
  socket.close(then)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => close(() => console.log('closed')))
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
