// Buffer_sizes asks for a receive and a send buffer and tells what the kernel made of that.
// It echoes what comes, and in the end tells how much it was.
//
//	node udp_server/buffer_sizes/main.js --receive=65536
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, receive, send } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  receive: { type: 'string', default: '0' },
  send: { type: 'string', default: '0' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:sizes
// 0 leaves the size to the system. setRecvBufferSize and setSendBufferSize do the same
// later, once the socket is bound.
const socket = dgram.createSocket({
  type: /:/.test(host) ? 'udp6' : 'udp4',
  recvBufferSize: Number(receive),
  sendBufferSize: Number(send)
})
socket.on('listening', () => {
  console.log('listening on', at(socket.address()))
  console.log(`receive buffer ${socket.getRecvBufferSize()} bytes, send buffer ${socket.getSendBufferSize()} bytes`)
})
//weave:end

let n = 0
let bytes = 0
//weave:echo
socket.on('message', (message, rinfo) => {
  n++
  bytes += message.length
  if (rinfo.port === 0) return // wants no reply (RFC 768), and send would throw
  // Never waits. What the kernel does not take is kept here, without a limit, until it
  // does, or the socket is closed (ECANCELED).
  socket.send(message, rinfo.port, rinfo.address, (err) => {
    if (err && err.code !== 'ECANCELED') console.error(`buffer_sizes: ${err.message}`)
  })
})
//weave:end

function end () {
  const kept = socket.getSendQueueCount() ? `, ${socket.getSendQueueCount()} replies never left` : ''
  socket.close(() => {
    console.log(`read ${n} datagrams, ${bytes} bytes${kept}; how many were dropped Node cannot ask`)
    console.log('closed')
  })
}

socket.on('error', fail)
if (isGroup(host)) { // Node would bind it, and join nothing
  fail(new Error(`bind ${addr}: a multicast group has to be joined, see multicast:client`))
} else {
  socket.bind(port, host)
}

function fail (err) {
  console.error(`buffer_sizes: ${err.message}`)
  process.exitCode = 1
  socket.close()
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, end)
}

function isGroup (ip) {
  return /^(22[4-9]|23\d)\./.test(ip) || /^ff..:/i.test(ip)
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
